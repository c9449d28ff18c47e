//! Scenarios that cannot be meant are refused when they are read, and say what is wrong.

use peerstream_sim::scenario::Scenario;

fn refused(text: &str) -> String {
    match text.parse::<Scenario>() {
        Ok(_) => panic!("not refused: {text}"),
        Err(error) => error.to_string(),
    }
}

fn fault(text: &str) -> String {
    refused(&format!("[[fault]]\nat_ms = 1\n{text}"))
}

#[test]
fn a_fault_table_has_one_fault_and_nothing_else() {
    assert!(fault("kill = 'donor-1'\nrestart = 'donor-1'").contains("kill and restart"));
    assert!(fault("kill = 'donor-1'\nafter_ms = 3").contains("after_ms"));
    assert!(fault("").contains("nothing beside at_ms"));
    let unknown = fault("kil = 'donor-1'");
    assert!(unknown.contains("kil") && unknown.contains("power-loss-at-disk"), "{unknown}");
    assert!(refused("[[fault]]\nkill = 'donor-1'").contains("needs at_ms"));
    assert!(refused("[[fault]]\nat_ms = -1\nkill = 'donor-1'").contains("at_ms"));
}

#[test]
fn absurd_numbers_are_refused() {
    for (text, what) in [
        ("[expect]\nwithin_s = 9223372036854775807", "within_s"),
        ("limit_s = 9223372036854775807", "limit_s"),
        ("mend_after_ms = 9223372036854775807", "mend_after_ms"),
        ("[fleet]\nwindow_kib = 0", "window_kib"),
        ("[fleet]\nup_kib = 18014398509481984", "up_kib"),
        ("[fleet]\nread_ms = 9223372036854775807", "read_ms"),
        ("[content]\nshards = 0", "shards"),
        ("[content]\nlarge_kib = 9223372036854775807", "large_kib"),
        ("[content]\nlarge = 1000000\nlarge_kib = 1048576", "content of all shards"),
        ("[link]\nloss_ppm = 1000001", "loss_ppm"),
        ("[link]\nrate_kib = 0", "rate_kib"),
        ("[link]\nlatency_ms = 9223372036854775807", "latency_ms"),
        ("[mix]\nwithin_ms = 9223372036854775807", "within_ms"),
        ("[mix]\nloss_ppm = 4000000000", "loss_ppm"),
        ("[mix]\ncount = 4000000000", "count"),
    ] {
        let error = refused(text);
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn absurd_faults_are_refused() {
    for (text, what) in [
        ("cut = { a = 'donor-1', b = 'donor-1' }", "no link to itself"),
        ("slow = { a = 'donor-1', b = 'replica-1', rate_kib = 18014398509481984 }", "rate_kib"),
        ("corrupt-entry = { node = 'donor-1', entry = 4 }", "no large entry 4"),
        ("change-entry = { node = 'donor-1', entry = 40 }", "no small entry 40"),
        ("stall = { node = 'donor-1', after_kib = 18014398509481984 }", "after_kib"),
        ("fail-disk = { node = 'replica-1', of = 'read', for_ms = 0 }", "for_ms"),
        ("slow-disk = { node = 'replica-1', factor = 4294967295 }", "factor"),
        ("clock = { node = 'replica-1', offset_ms = -9223372036854775808 }", "offset_ms"),
        (
            "flap = { a = 'donor-1', b = 'replica-1', period_ms = 9223372036854775807, times = 1 }",
            "period_ms",
        ),
    ] {
        let error = fault(text);
        assert!(error.contains("fault 0") && error.contains(what), "{text}: {error}");
    }
    assert!(refused("[[fault]]\nat_ms = 9223372036854775807\nkill = 'donor-1'").contains("at_ms"));
}
