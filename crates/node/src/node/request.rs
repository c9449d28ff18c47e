//! From what an operator asks for to a plan.

use peerstream_engine::StreamPlan;
use peerstream_select::LevelScope;
use peerstream_types::{DatasetName, NodeId, Operation, ShardId};

use crate::admin::model::PlanRequest;
use crate::config::{CANNOT_BE_COMPARED, Config, Dataset};
use crate::failure::{Failure, Result};

/// The plan of a request.
pub(crate) fn plan(request: &PlanRequest, config: &Config) -> Result<StreamPlan> {
    match request {
        PlanRequest::Bootstrap { what, from } => bootstrap(what, from, config),
        PlanRequest::Push { shard, to } => {
            let (shard, to) = (one_shard(shard, config)?, node_id(to)?);
            Ok(StreamPlan::new(Operation::BulkLoad).transfer(shard, to))
        }
    }
}

fn bootstrap(what: &str, from: &[String], config: &Config) -> Result<StreamPlan> {
    let from = from.iter().map(|node| node_id(node)).collect::<Result<Vec<NodeId>>>()?;
    let shards = shards(what, config)?;
    let plan = StreamPlan::new(Operation::Bootstrap);
    Ok(shards.into_iter().fold(plan, |plan, shard| plan.request_from(shard, from.iter().cloned())))
}

/// The shards that `dataset`, `dataset@version` or `dataset@version/index` names.
fn shards(what: &str, config: &Config) -> Result<Vec<ShardId>> {
    if what.contains('/') {
        return one_shard(what, config).map(|shard| vec![shard]);
    }
    let (name, version) = match what.split_once('@') {
        Some((name, version)) => {
            let version = version.parse::<u64>();
            (name, Some(version.map_err(|_| unreadable(what))?))
        }
        None => (what, None),
    };
    let matches = |dataset: &&Dataset| {
        dataset.name.as_str() == name && version.is_none_or(|version| version == dataset.version)
    };
    let mut found = config.datasets.iter().filter(matches);
    let dataset = found.next().ok_or_else(|| unknown(what, config))?;
    if found.next().is_some() {
        let what = format!("dataset {name} is configured here in several versions");
        return Err(Failure::new(what).hint(format!("name the version, like {name}@{}", dataset.version)));
    }
    let shard = |index| ShardId::new(dataset.name.clone(), dataset.version, index);
    Ok((0..dataset.shards).map(shard).collect())
}

/// What a level is for: the node, a dataset, a shard of it, or the recovery of the shard by one plan.
pub(crate) fn scope(
    dataset: Option<&str>,
    shard: Option<u32>,
    plan: Option<&str>,
    config: &Config,
) -> Result<LevelScope> {
    let scope = lasting_scope(dataset, shard, config)?;
    match (plan, scope) {
        (None, scope) => Ok(scope),
        (Some(text), LevelScope::Shard(shard)) => {
            let shown: String = text.chars().take(40).collect();
            let plan = text.parse().map_err(|_| {
                Failure::new(format!("{shown:?} is not a plan id"))
                    .hint("`peerstream status` lists the plans")
            })?;
            Ok(LevelScope::Recovery(plan, shard))
        }
        (Some(_), LevelScope::Node | LevelScope::Dataset(_) | LevelScope::Recovery(..)) => {
            Err(Failure::new("which shard of the plan?").hint("name its dataset and its shard, too"))
        }
    }
}

/// Whether a level means anything for what it is to be set for.
///
/// # Errors
///
/// Not where replicas cannot be compared, as the config is refused then.
pub(crate) fn check_level(scope: &LevelScope, config: &Config) -> Result<()> {
    let dataset = match scope {
        LevelScope::Node => return Ok(()),
        LevelScope::Dataset(dataset) => dataset,
        LevelScope::Shard(shard) | LevelScope::Recovery(_, shard) => &shard.dataset,
    };
    if config.compares(dataset) {
        return Ok(());
    }
    Err(Failure::new(format!("no level can be set for dataset {dataset}: {CANNOT_BE_COMPARED}"))
        .hint("say `kind = \"identical\"` in its [[dataset]] if a file is the same wherever it is"))
}

fn lasting_scope(dataset: Option<&str>, shard: Option<u32>, config: &Config) -> Result<LevelScope> {
    match (dataset, shard) {
        (None, None) => Ok(LevelScope::Node),
        (None, Some(index)) => {
            Err(Failure::new(format!("shard {index} of which dataset?")).hint("name the dataset, too"))
        }
        (Some(text), None) => {
            let name = DatasetName::new(text).map_err(|_| unreadable(text).hint("write only its name"))?;
            let is_held = config.datasets.iter().any(|dataset| dataset.name == name);
            if is_held { Ok(LevelScope::Dataset(name)) } else { Err(unknown(text, config)) }
        }
        (Some(text), Some(index)) => {
            let found = shards(text, config)?.into_iter().find(|shard| shard.index == index);
            found.map(LevelScope::Shard).ok_or_else(|| unknown(&format!("shard {index} of {text}"), config))
        }
    }
}

fn one_shard(text: &str, config: &Config) -> Result<ShardId> {
    let shard: ShardId = text.parse().map_err(|_| unreadable(text))?;
    let holds = |dataset: &Dataset| {
        dataset.name == shard.dataset && dataset.version == shard.version && shard.index < dataset.shards
    };
    if config.datasets.iter().any(holds) { Ok(shard) } else { Err(unknown(text, config)) }
}

fn unreadable(text: &str) -> Failure {
    let shown: String = text.chars().take(120).collect();
    Failure::new(format!("{shown:?} names no shard or dataset"))
        .hint("write dataset, dataset@version or dataset@version/index, like metrics@1/0")
}

fn unknown(text: &str, config: &Config) -> Failure {
    let failure = Failure::new(format!("{text} is not configured at node {}", config.node));
    let names: Vec<String> = config
        .datasets
        .iter()
        .take(8)
        .map(|dataset| format!("{}@{} with {} shards", dataset.name, dataset.version, dataset.shards))
        .collect();
    if names.is_empty() {
        return failure.hint("add a [[dataset]] to its config");
    }
    failure.hint(format!("its config has {}", names.join(", ")))
}

fn node_id(text: &str) -> Result<NodeId> {
    NodeId::new(text).map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use peerstream_engine::Task;
    use peerstream_types::DatasetKind;

    use super::*;
    use crate::config;

    fn config() -> Config {
        let text = r#"
            node = "a"
            cluster = "demo"
            [tls]
            ca = "ca.crt"
            cert = "a.crt"
            key = "a.key"
            [[dataset]]
            name = "metrics"
            shards = 3
            [[dataset]]
            name = "logs"
            version = 7
            [[dataset]]
            name = "logs"
            version = 8
        "#;
        config::parse(text).unwrap()
    }

    fn requested(what: &str) -> Result<Vec<String>> {
        let request = PlanRequest::Bootstrap { what: what.to_owned(), from: vec!["b".to_owned()] };
        let plan = plan(&request, &config())?;
        Ok(plan.tasks().iter().map(|task| task.shard().to_string()).collect())
    }

    #[test]
    fn a_dataset_means_all_its_shards() {
        assert_eq!(requested("metrics").unwrap(), ["metrics@1/0", "metrics@1/1", "metrics@1/2"]);
        assert_eq!(requested("metrics@1/2").unwrap(), ["metrics@1/2"]);
        assert_eq!(requested("logs@8").unwrap(), ["logs@8/0"]);
    }

    #[test]
    fn what_is_not_configured_is_refused_with_what_is() {
        let refused = requested("metrics@1/3").unwrap_err();
        assert_eq!(refused.what(), "metrics@1/3 is not configured at node a");
        assert!(refused.advice().unwrap().contains("metrics@1 with 3 shards"), "{refused}");
        for what in ["logs", "other", "metrics@2", "metrics@x", "", "../x@1/0"] {
            assert!(requested(what).is_err(), "{what:?}");
        }
    }

    #[test]
    fn a_level_is_for_the_node_a_dataset_or_a_shard() {
        let asked = |dataset, shard| scope(dataset, shard, None, &config()).map(|scope| scope.to_string());
        assert_eq!(asked(None, None).unwrap(), "the node");
        assert_eq!(asked(Some("logs"), None).unwrap(), "dataset logs");
        assert_eq!(asked(Some("metrics"), Some(2)).unwrap(), "shard metrics@1/2");
        assert_eq!(asked(Some("logs@8"), Some(0)).unwrap(), "shard logs@8/0");
        for (dataset, shard) in [
            (None, Some(0)),
            (Some("other"), None),
            (Some("logs@8"), None),
            (Some("logs"), Some(0)),
            (Some("metrics"), Some(3)),
            (Some("metrics@1/0"), Some(1)),
        ] {
            assert!(asked(dataset, shard).is_err(), "{dataset:?} {shard:?}");
        }
        let of_plan = |dataset, shard, plan| scope(dataset, shard, Some(plan), &config());
        let plan = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let found = of_plan(Some("metrics"), Some(2), plan).unwrap();
        assert_eq!(found.to_string(), format!("shard metrics@1/2 of plan {plan}"));
        assert!(of_plan(Some("metrics"), Some(2), "x").is_err());
        assert!(of_plan(Some("metrics"), None, plan).is_err());
    }

    /// F-15: a level for what cannot be compared is refused at run time as it is in the config, however
    /// narrow; one for the node counts where it can.
    #[test]
    fn no_level_is_set_for_a_local_dataset() {
        let mut config = config();
        config.datasets[0].kind = DatasetKind::Identical;
        let check =
            |dataset, shard, plan| check_level(&scope(dataset, shard, plan, &config).unwrap(), &config);
        check(None, None, None).unwrap();
        check(Some("metrics"), None, None).unwrap();
        check(Some("metrics"), Some(2), None).unwrap();
        for (dataset, shard, plan) in [
            ("logs", None, None),
            ("logs@8", Some(0), None),
            ("logs@8", Some(0), Some("01ARZ3NDEKTSV4RRFFQ69G5FAV")),
        ] {
            let refused = check(Some(dataset), shard, plan).unwrap_err();
            assert!(refused.what().contains("dataset logs: its replicas have other files"), "{refused}");
            assert!(refused.advice().unwrap().contains("identical"), "{refused}");
        }
    }

    #[test]
    fn a_push_names_one_shard_and_one_node() {
        let push = |shard: &str, to: &str| {
            plan(&PlanRequest::Push { shard: shard.to_owned(), to: to.to_owned() }, &config())
        };
        assert!(matches!(push("logs@7/0", "b").unwrap().tasks(), [Task::Transfer { .. }]));
        assert!(push("logs", "b").is_err());
        assert!(push("logs@7/0", "../b").is_err());
    }
}
