//! SIGHUP and `reload` take access rules afresh; a file with a mistake changes nothing.

use std::net::SocketAddr;

use crate::support::{LIMIT, Scenario, bootstrap, bring_up, say, serve};

const FILES: [(&str, usize); 1] = [("a", 1_000)];

#[test]
fn a_reload_takes_rules_and_refuses_mistakes() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &FILES);
    let donor = scenario.cluster.start("donor", &serve(&content)).unwrap();
    let replica = scenario.replica("replica", &[&donor], "");
    let (said, _) = bootstrap(&replica);
    assert!(said.err.contains("no rule allows"), "{said:?}");

    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    donor.dir().configure(listen, "[[access]]\nwho = \"*\"\n").unwrap();
    donor.hang_up().unwrap();
    let refused = donor.log().wait_for("reload refused", LIMIT).unwrap();
    assert!(refused.contains("line ") && refused.contains("missing field"), "{refused}");
    let said = say(&mut donor.command("reload"));
    assert_eq!(said.code, Some(1), "a bad file cannot tell where the socket is: {said:?}");

    let body = format!("{}{}[limits]\nplans = 7\n", serve(&content), devcluster::SERVE_EVERYTHING);
    donor.dir().configure(listen, &body).unwrap();
    let said = say(&mut donor.command("reload"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, "taken afresh: tls, access\nchanged in the file, takes a restart: limits\n");
    bring_up(&replica);
}
