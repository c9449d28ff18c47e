//! Facts about the configuration: defaults, slips, what reaches the engine.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Value;

use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/config.example.toml");

const REQUIRED: &str = r#"
    node = "store-1"
    cluster = "demo.internal"
    [tls]
    ca = "tls/ca.crt"
    cert = "tls/store-1.crt"
    key = "tls/store-1.key"
"#;

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn load_text(text: &str) -> crate::failure::Result<Config> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    std::fs::write(&path, text).unwrap();
    load(&path, &Overrides::default())
}

/// The names of all fields, with those of the tables that hold them.
fn fields(value: &Value, name: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| fields(value, &format!("{name}.{key}"), into));
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items.iter().for_each(|item| fields(item, name, into));
        }
        Value::Array(_)
        | Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => {
            into.insert(name.to_owned());
        }
    }
}

#[test]
fn the_example_documents_the_defaults() {
    let (example, bare) = (parse(EXAMPLE).unwrap(), parse(REQUIRED).unwrap());
    assert_eq!(example.limits, bare.limits);
    assert_eq!(example.limits, Limits::default());
    assert_eq!(example.admin_socket(), bare.admin_socket());
    let plain = |config: &Config| {
        (config.listen, config.data_dir.clone(), config.log.clone(), config.log_format, config.tls.clone())
    };
    assert_eq!(plain(&example), plain(&bare));
    let minimal = format!("{REQUIRED}\n[[dataset]]\nname = \"metrics\"\n[[peer]]\naddr = \"10.0.0.2:7400\"");
    let minimal = parse(&minimal).unwrap();
    assert_eq!(example.datasets[0], minimal.datasets[0]);
    assert_eq!(example.datasets[1].snapshot, SnapshotRules::default());
    assert_eq!(example.peers[0].datasets, minimal.peers[0].datasets);
    assert_eq!(example.placement.poll, bare.placement.poll);
    assert_eq!(example.consistency.level, Some(peerstream_select::Level::default()));
    assert_eq!(example.consistency.fixed(), bare.consistency.fixed());
    assert_eq!(example.sources, bare.sources);
    assert_eq!(bare.consistency.level, None, "so that a repair may have a default of its own");
    assert!(bare.access.rules().is_empty(), "without rules, everything is denied");
}

#[test]
fn the_example_has_every_field() {
    let names = |value: &Value| {
        let mut names = BTreeSet::new();
        fields(value, "", &mut names);
        names
    };
    let written = names(&EXAMPLE.parse().map(Value::Table).unwrap());
    let known = names(&Value::try_from(parse(EXAMPLE).unwrap()).unwrap());
    assert_eq!(written, known);
    let sections: [(&str, usize); 4] =
        [(".limits.quic.", 12), (".limits.", 23 + 12), (".dataset.snapshot.", 10), (".dataset.", 5 + 10)];
    for (section, fields) in sections {
        let found = known.iter().filter(|name| name.starts_with(section)).count();
        assert_eq!(found, fields, "fields of {section} in the example");
    }
}

#[test]
fn the_effective_config_reads_back() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(parse(&toml::to_string_pretty(&config).unwrap()).unwrap(), config);
}

#[test]
fn limits_reach_the_engine_and_the_transport() {
    let defaults = Limits::default();
    assert_eq!(defaults.engine(), EngineConfig::default());
    let one_thread = peerstream_quic::QuicConfig { own_thread: false, ..Default::default() };
    assert_eq!(defaults.transport(), one_thread);
    let text = format!("{REQUIRED}\n[limits]\nwindow = \"1MiB\"\n[limits.quic]\nidle_timeout = \"2s\"");
    let limits = parse(&text).unwrap().limits;
    assert_eq!(limits.engine().recovery.window.0, 1 << 20);
    assert_eq!(limits.transport().idle_timeout.as_secs(), 2);
}

/// What decides how many sources serve and how replicas are compared reaches the recovery.
#[test]
fn the_choice_of_sources_can_be_set() {
    assert_eq!(parse(REQUIRED).unwrap().engine(), EngineConfig::default());
    let text = format!(
        "{REQUIRED}\n[limits]\nsources_max = 7\njoin_from = \"0B\"\ntwice_per_mille = 0\n\
         [consistency]\ncompare_wait = \"0s\"\nown_vote = true"
    );
    let engine = load_text(&text).unwrap().engine();
    let recovery = &engine.recovery;
    assert_eq!((recovery.sources_max, recovery.join_from.0, recovery.twice_per_mille), (7, 0, 0));
    assert!(recovery.compare_wait.is_zero());
    assert_eq!(engine.own_vote, peerstream_select::OwnVote::WhereAvailable);
}

/// C41: who may be asked is the operator's to say, for all datasets and for single ones.
#[test]
fn sources_can_be_excluded() {
    let text = format!(
        "{REQUIRED}\n[[dataset]]\nname = \"m\"\n[sources]\nstrict = true\n[sources.everywhere]\n\
         not_nodes = [\"store-9\"]\n[sources.datasets.m]\nonly_zones = [\"room-1\"]"
    );
    let rules = load_text(&text).unwrap().engine().sources;
    assert!(rules.strict);
    assert!(rules.everywhere.not_nodes.iter().map(NodeId::as_str).eq(["store-9"]), "{rules:?}");
    let (dataset, filter) = rules.datasets.first_key_value().unwrap();
    assert_eq!((dataset.as_str(), filter.only_zones.first().map(String::as_str)), ("m", Some("room-1")));
    let elsewhere = load_text(&text.replace("datasets.m]", "datasets.n]")).unwrap_err().to_string();
    assert!(elsewhere.contains("sources.datasets.n: no [[dataset]] has this name"), "{elsewhere}");
    let slip = refused(&text.replace("not_nodes", "no_nodes"));
    assert!(slip.contains("unknown field `no_nodes`"), "{slip}");
}

#[test]
fn a_slip_is_named_with_its_line() {
    let unknown = refused(&format!("lisen = \"[::]:1\"\n{REQUIRED}"));
    assert!(unknown.starts_with("line 1: unknown field `lisen`"), "{unknown}");
    let size = refused(&format!("{REQUIRED}\n[limits]\nwindow = \"big\"\n"));
    assert!(size.contains("line 10: \"big\" is not a size") && size.contains("64MiB"), "{size}");
    let node = refused(&REQUIRED.replace("store-1\"\n    cluster", "Store_1\"\n    cluster"));
    assert!(node.contains("line 2: node id \"Store_1\" may hold only"), "{node}");
    assert!(refused("node = ").contains("line 1: "));
    assert!(refused("node = \"a\"").contains("missing field"));
}

/// F-15: a level that is none is refused where it stands, and the six are listed.
#[test]
fn a_level_that_is_none_is_refused() {
    let said = refused(&format!("{REQUIRED}\n[consistency]\nlevel = \"quorum\"\n"));
    let expected = "line 10: \"quorum\" is no consistency level; there are none, one, unstrict_majority, \
                    majority, unstrict_all and all";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn what_takes_more_than_one_field_to_see_is_refused() {
    let twice = "[[dataset]]\nname = \"m\"\n[[dataset]]\nname = \"m\"";
    let cases = [
        (twice, "dataset m@1 stands twice"),
        ("[[dataset]]\nname = \"m\"\nshards = 0", "dataset m@1: 0 shards"),
        ("[[dataset]]\nname = \"m\"\nshards = 4097", "4097 shards, allowed are 1 to 4096"),
        (
            "[[dataset]]\nname = \"m\"\n[dataset.snapshot]\nmode = \"freeze\"",
            "dataset m@1: snapshot.mode is freeze, and nothing is frozen",
        ),
        (
            "[[dataset]]\nname = \"m\"\n[dataset.snapshot]\nmode = \"command\"",
            "snapshot.mode is command, and there is none",
        ),
        (
            "[[dataset]]\nname = \"m\"\nserve = \"m\"\n[dataset.snapshot]\nimmutable = [\"*\"]",
            "snapshot.immutable and ignored are for files that are frozen",
        ),
        (
            "[[dataset]]\nname = \"m\"\nserve = \".\"\n[dataset.snapshot]\nmode = \"freeze\"",
            "dataset m@1: snapshot.dir: ",
        ),
        ("[[dataset]]\nname = \"m\"\n[dataset.snapshot]\nttl = \"0s\"", "snapshot.ttl is zero"),
        ("[limits]\nwindow = \"0B\"", "limits.window is zero"),
        ("[limits]\nsources_max = 0", "limits.sources_max is zero"),
        ("[limits]\nsources_max = 65", "limits.sources_max is 65, at most 64 is allowed"),
        ("[limits]\ntwice_per_mille = 1001", "limits.twice_per_mille is 1001, at most 1000 is allowed"),
        ("[consistency]\ncompare_wait = \"2h\"", "consistency.compare_wait is 2h, at most 1h is allowed"),
        ("[limits]\nwindow = \"5GiB\"", "limits.window is 5GiB, at most 4GiB is allowed"),
        ("[limits]\nfetch = \"1TiB\"", "limits.fetch is 1TiB, at most 256MiB is allowed"),
        ("[limits]\npeer_bytes_in_flight = \"1TiB\"", "limits.peer_bytes_in_flight is 1TiB, at most 64GiB"),
        ("[limits]\ncheckpoint_bytes = \"2TiB\"", "limits.checkpoint_bytes is 2TiB, at most 1TiB is allowed"),
        ("[limits.quic]\nsend_window = \"2GiB\"", "limits.quic.send_window is 2GiB, at most 1GiB is allowed"),
        ("[limits.quic]\nsend_window_max = \"2GiB\"", "limits.quic.send_window_max is 2GiB, at most 1GiB"),
        ("[limits.quic]\nsocket_buffer = \"2GiB\"", "limits.quic.socket_buffer is 2GiB, at most 1GiB is"),
        ("[[dataset]]\nname = \"m\"\nserve = \".\"", "dataset m@1: serve: data_dir ("),
        ("[[dataset]]\nname = \"m\"\nserve = \"data\"", "dataset m@1: serve: data_dir ("),
        ("[[dataset]]\nname = \"m\"\nserve = \"tls\"", "dataset m@1: serve: tls.key ("),
        ("[placement]\npoll = \"99ms\"", "placement.poll is 99ms, at least 100ms is needed"),
        (
            "[placement]\nfile = \"p.toml\"\n[[peer]]\naddr = \"[::1]:1\"",
            "placement.file and [[peer]] both say who holds what",
        ),
        (
            "[placement]\nfile = \"p.toml\"\nreplication = 3",
            "placement.replication is for [[peer]], and placement.file is set",
        ),
        ("[consistency.datasets]\nm = \"one\"", "consistency.datasets.m: no [[dataset]] has this name"),
        ("[limits.quic]\nkeep_alive = \"20s\"", "limits.quic: keep-alive every 20s"),
        ("[limits.quic]\nmtu_initial = 8972", "limits.quic: UDP payloads of 8972 bytes to start with"),
        (
            "[[peer]]\nnode = \"b\"\naddr = \"[::1]:1\"\n[[peer]]\nnode = \"b\"\naddr = \"[::1]:2\"",
            "node b is listed twice",
        ),
    ];
    for (text, problem) in cases {
        let refused = load_text(&format!("{REQUIRED}\n{text}")).unwrap_err();
        assert!(refused.what().contains(problem), "{text}: {refused}");
        assert!(refused.what().contains("node.toml: "), "names the file: {refused}");
    }
    let long = format!("{REQUIRED}\n[admin]\nsocket = \"/{}\"", "x".repeat(120));
    assert!(load_text(&long).unwrap_err().what().contains("admin.socket: "));
}

#[test]
fn paths_are_relative_to_the_file_and_overrides_stand_over_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    std::fs::write(&path, format!("{REQUIRED}\n[[dataset]]\nname = \"m\"\nserve = \"./m\"")).unwrap();
    let config = load(&path, &Overrides::default()).unwrap();
    assert_eq!(config.tls.key, dir.path().join("tls/store-1.key"));
    assert_eq!(config.datasets[0].serve.as_deref(), Some(dir.path().join("m").as_path()));
    assert_eq!(config.admin_socket(), dir.path().join("data/admin.sock"));
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        data_dir: Some("/elsewhere".into()),
        log: Some("debug".to_owned()),
        log_format: Some(LogFormat::Json),
    };
    let config = load(&path, &overrides).unwrap();
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.admin_socket(), Path::new("/elsewhere/admin.sock"));
    assert_eq!((config.log.as_str(), config.log_format), ("debug", LogFormat::Json));
}

#[test]
fn a_command_that_is_named_by_a_path_is_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    let snapshot = "[dataset.snapshot]\nmode = \"command\"\nposition = [\"position\", \"./x\"]\n\
                    checkpoint = [\"./bin/freeze\"]\ndir = \"c\"";
    std::fs::write(&path, format!("{REQUIRED}\n[[dataset]]\nname = \"m\"\n{snapshot}")).unwrap();
    let rules = &load(&path, &Overrides::default()).unwrap().datasets[0].snapshot;
    assert_eq!(rules.position, ["position", "./x"], "found in PATH; arguments are not paths");
    assert_eq!(rules.checkpoint, [dir.path().join("bin/freeze").display().to_string()]);
    assert_eq!(rules.dir, Some(dir.path().join("c")));
}

#[test]
fn several_shards_are_served_from_directories_of_their_own() {
    let text = format!("{REQUIRED}\n[[dataset]]\nname = \"m\"\nshards = 2\nserve = \"/m\"");
    let config = parse(&text).unwrap();
    let served: Vec<_> = config.datasets[0].served().map(|(_, path)| path).collect();
    assert_eq!(served, [Path::new("/m/0"), Path::new("/m/1")]);
}

/// Levels over digests are refused where digests say nothing: every replica has other files.
#[test]
fn a_level_of_a_local_dataset_is_refused() {
    let with = |kind: &str| {
        let rest =
            format!("[[dataset]]\nname = \"metrics\"\n{kind}\n[consistency.datasets]\nmetrics = \"all\"");
        load_text(&format!("{REQUIRED}\n{rest}\n"))
    };
    let error = with("").unwrap_err().to_string();
    assert!(
        error.contains("consistency.datasets.metrics") && error.contains("cannot be compared"),
        "{error}"
    );
    with("kind = \"identical\"").unwrap();
    let error = with("kind = \"mergeable\"").unwrap_err().to_string();
    assert!(error.contains("no store of this node merges"), "{error}");
}
