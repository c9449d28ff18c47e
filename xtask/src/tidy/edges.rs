//! Which crate may depend on which: arrows point one way, and heavy libraries have one home.

use super::workspace::{Member, Workspace};
use super::{Finding, house};

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        if !member.dir.starts_with(house::TEST_PACKAGES_DIR) {
            internal(workspace, member, &mut findings);
            homes(member, &mut findings);
        }
        if house::PURE.contains(&member.name.as_str()) {
            purity(member, &mut findings);
        }
    }
    findings
}

fn internal(workspace: &Workspace, member: &Member, findings: &mut Vec<Finding>) {
    let Some((_, allowed)) = house::EDGES.iter().find(|(name, _)| *name == member.name) else {
        findings.push(Finding::file(
            &member.manifest(),
            format!("{} is not in the table of edges; add its row to xtask/src/tidy/house.rs", member.name),
        ));
        return;
    };
    for dependency in &member.dependencies {
        let ours = workspace.members.iter().any(|m| m.name == *dependency);
        if ours && !allowed.contains(&dependency.as_str()) {
            findings.push(Finding::file(
                &member.manifest(),
                format!(
                    "{} may not depend on {dependency}: the edge is not in xtask/src/tidy/house.rs; \
                     move the code to the side that may, or meet it through a contract crate",
                    member.name
                ),
            ));
        }
    }
}

fn homes(member: &Member, findings: &mut Vec<Finding>) {
    for (library, homes) in house::ONLY_IN {
        if member.dependencies.contains(*library) && !homes.contains(&member.name.as_str()) {
            findings.push(Finding::file(
                &member.manifest(),
                format!("{library} belongs to {} only; {} names it", homes.join(" and "), member.name),
            ));
        }
    }
}

fn purity(member: &Member, findings: &mut Vec<Finding>) {
    let named = house::NOT_IN_PURE.iter().filter(|l| member.dependencies.contains(**l));
    let reached = house::NOT_BELOW_PURE.iter().filter(|l| member.reachable.contains(**l));
    let mut foreign: Vec<&str> = named.chain(reached).copied().collect();
    foreign.sort_unstable();
    foreign.dedup();
    for library in foreign {
        findings.push(Finding::file(
            &member.manifest(),
            format!(
                "{} is a pure crate, and {library} is in its build; it is driven, it does no I/O",
                member.name
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dependencies: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            dir: format!("crates/{}", name.trim_start_matches("peerstream-")),
            dependencies: dependencies.iter().map(|&d| d.to_owned()).collect(),
            reachable: Default::default(),
        }
    }

    fn messages(members: Vec<Member>) -> String {
        check(&Workspace::of(members)).iter().map(|f| format!("{f}\n")).collect()
    }

    #[test]
    fn edges_of_the_table_pass() {
        let types = member("peerstream-types", &["serde"]);
        let wire = member("peerstream-wire", &["peerstream-types", "bytes"]);
        let quic = member("peerstream-quic", &["peerstream-types", "peerstream-transport", "quinn", "tokio"]);
        assert_eq!(messages(vec![types, wire, quic]), "");
    }

    #[test]
    fn edge_against_the_arrows_is_found() {
        let types = member("peerstream-types", &["peerstream-wire"]);
        let wire = member("peerstream-wire", &[]);
        assert!(messages(vec![types, wire]).contains("peerstream-types may not depend on peerstream-wire"));
    }

    #[test]
    fn crate_without_a_row_is_found() {
        assert!(messages(vec![member("peerstream-extra", &[])]).contains("not in the table of edges"));
    }

    #[test]
    fn library_outside_its_home_is_found() {
        let found = messages(vec![member("peerstream-engine", &["quinn"])]);
        assert!(
            found.contains("quinn belongs to peerstream-quic only; peerstream-engine names it"),
            "{found}"
        );
    }

    #[test]
    fn runtime_in_a_pure_crate_is_found() {
        let found = messages(vec![member("peerstream-session", &["tokio"])]);
        assert!(found.contains("peerstream-session is a pure crate, and tokio is in its build"), "{found}");
    }

    #[test]
    fn runtime_below_a_pure_crate_is_found() {
        let mut shape = member("peerstream-shape", &["innocent"]);
        shape.reachable.insert("mio".to_owned());
        assert!(messages(vec![shape]).contains("mio is in its build"));
    }

    #[test]
    fn multi_process_tests_may_name_anything() {
        let mut scenarios = member("peerstream-scenarios", &["peerstream-types", "quinn", "anyhow"]);
        scenarios.dir = "tests/scenarios".to_owned();
        assert_eq!(messages(vec![scenarios, member("peerstream-types", &[])]), "");
    }
}
