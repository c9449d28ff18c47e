//! A live directory is served while it is written to: what arrives is what was frozen.

use std::fs;

use peerstream_node::admin::AdminClient;

use crate::support::{
    MIB, Scenario, assert_published, block_on, bring_up, client, say, start_files, status, until_done,
};

const LIMITS: &str = "[limits]\nwindow = \"1MiB\"\nfetch = \"256KiB\"\n";

#[test]
fn a_live_directory_arrives_as_it_was_frozen() {
    let scenario = Scenario::new();
    let files = [("1.sst", 24 * MIB), ("sub/2.sst", 2 * MIB), ("CURRENT", 20)];
    let (live, before) = (scenario.content("live", &files), scenario.content("before", &files));
    let freeze = "[dataset.snapshot]\nmode = \"freeze\"\nimmutable = [\"*.sst\"]\nignored = [\"LOCK\"]\n";
    let body = format!("{}{freeze}{}", crate::support::serve(&live), devcluster::SERVE_EVERYTHING);
    let donor = scenario.cluster.start("donor", &body).unwrap();
    fs::write(live.join("LOCK"), "no part of it").unwrap();
    let replica = scenario.replica("replica", &[&donor], LIMITS);
    let ended = block_on(async {
        let client = client(&replica);
        let plan = start_files(&client).await;
        let seen = until_done(&client, &plan, 1).await;
        assert!(!seen.is_ended(), "it was over before anything changed: {seen:?}");
        fs::remove_file(live.join("1.sst")).unwrap();
        fs::write(live.join("CURRENT"), "another one").unwrap();
        fs::write(live.join("3.sst"), "new").unwrap();
        until_done(&client, &plan, u64::MAX).await
    });
    assert!(ended.is_completed(), "{ended:?}\n{}", donor.log().tail());
    assert_published(&replica, 1, &before);
    let seen = status(&donor);
    let [checkpoint] = &seen.datasets[0].checkpoints[..] else { panic!("{seen:?}") };
    assert_eq!((checkpoint.number, checkpoint.stale), (1, false));
    assert!(donor.dir().data().join("checkpoints/files@1/0/1/1.sst").exists(), "kept for the next one");
}

/// F-40, C20: a session that ends without a word keeps its checkpoint only until it is missed.
#[test]
fn a_killed_receiver_lets_go_of_its_checkpoint() {
    let scenario = Scenario::new();
    let live = scenario.content("live", &[("1.sst", 48 * MIB)]);
    let freeze = "[dataset.snapshot]\nmode = \"freeze\"\nimmutable = [\"*\"]\n";
    let quick = "[limits.quic]\nidle_timeout = \"2s\"\nkeep_alive = \"500ms\"\n";
    let body = format!("{}{freeze}{}{quick}", crate::support::serve(&live), devcluster::SERVE_EVERYTHING);
    let donor = scenario.cluster.start("donor", &body).unwrap();
    let mut replica = scenario.replica("replica", &[&donor], LIMITS);
    let leases = async |client: &AdminClient| {
        let seen = client.status().await.unwrap();
        seen.datasets[0].checkpoints.iter().map(|one| one.leases).sum::<usize>()
    };
    block_on(async {
        let plan = start_files(&client(&replica)).await;
        assert!(
            !until_done(&client(&replica), &plan, 1).await.is_ended(),
            "it was over before it was killed"
        );
        assert_eq!(leases(&client(&donor)).await, 1);
        replica.kill().unwrap();
        while leases(&client(&donor)).await > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_store_in_another_language_makes_its_own_snapshot() {
    let scenario = Scenario::new();
    let content = scenario.content("content", &[("a", 100_000), ("b/c", 77)]);
    let command = format!(
        "[[dataset]]\nname = \"files\"\n[dataset.snapshot]\nmode = \"command\"\n\
         checkpoint = [\"sh\", \"-c\", 'cp -r \"$0\" \"$PEERSTREAM_DIR\"', {content:?}]\n"
    );
    let donor =
        scenario.cluster.start("donor", &format!("{command}{}", devcluster::SERVE_EVERYTHING)).unwrap();
    let replica = scenario.replica("replica", &[&donor], "");
    bring_up(&replica);
    assert_published(&replica, 1, &content);

    let failing = command.replace("cp -r", "echo disk is on fire >&2; false");
    let donor =
        scenario.cluster.start("donor-2", &format!("{failing}{}", devcluster::SERVE_EVERYTHING)).unwrap();
    let replica = scenario.replica("replica-2", &[&donor], "");
    let said = say(replica.command("bootstrap").arg("files"));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("disk is on fire"), "the operator sees what the store said: {}", said.err);
}
