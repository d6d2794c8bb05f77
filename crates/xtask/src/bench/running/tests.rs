use super::*;

#[test]
fn cpu_time_is_read_behind_any_name() {
    let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 120 30 5 6 20 0 3 0 999 1000 10 0";
    assert_eq!(cpu_ticks(stat), Some([120, 30]));
    assert_eq!(cpu_ticks("7 (a) S 1"), None);
    assert_eq!(cpu_ticks(""), None);
}

#[test]
fn cpu_time_is_counted_from_a_moment_on() {
    let (before, after) = (CpuTime { user_s: 1.0, system_s: 0.5 }, CpuTime { user_s: 3.0, system_s: 0.75 });
    assert_eq!(after.since(before), CpuTime { user_s: 2.0, system_s: 0.25 });
    assert_eq!(after.since(before).total_s(), 2.25);
}

#[test]
fn fields_of_a_status_are_found_by_their_whole_name() {
    let status = "Name:\tx\nVmHWMx:\t1 kB\nVmHWM:\t  2048 kB\n";
    assert_eq!(status_field(status, "VmHWM"), Some("2048 kB"));
    assert_eq!(status_field(status, "VmRSS"), None);
}

#[test]
fn two_allowed_cores_are_taken() {
    let check = |list: &str, expected: &[u32]| {
        assert_eq!(allowed_cores(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n")), expected, "{list}");
    };
    check("0-1", &[0, 1]);
    check("0-63", &[0, 1]);
    check("3", &[3]);
    check("2,5-6", &[2, 5]);
    check("", &[]);
    check("none", &[]);
    assert_eq!(allowed_cores(""), [0; 0]);
}

#[test]
fn a_process_is_heard_measured_and_gone_when_dropped() {
    let log = std::env::temp_dir().join(format!("verdigris-xtask-running-{}.log", std::process::id()));
    let launcher = Launcher { proxy: Vec::new(), load: Vec::new(), ticks_per_s: 100.0, words: String::new() };
    let limit = Duration::from_secs(60);
    let script = "echo one; read line; echo $line; echo trouble >&2";
    let mut running = launcher.start(Side::Load, Path::new("/bin/sh"), &["-c", script], &log).unwrap();
    assert_eq!(running.line(limit).unwrap(), "one");
    running.alive().unwrap();
    assert!(running.cpu().unwrap().total_s() >= 0.0);
    running.cpu_when_idle().unwrap();
    assert!(running.peak_resident_mib().unwrap() > 0.0);
    running.tell("two").unwrap();
    assert_eq!(running.line(limit).unwrap(), "two");
    let error = running.line(limit).unwrap_err().to_string();
    assert!(error.contains("sh ended") && error.contains("trouble"), "{error}");

    let running = launcher.start(Side::Load, Path::new("/bin/sh"), &["-c", "read line"], &log).unwrap();
    let process = PathBuf::from(format!("/proc/{}", running.child.id()));
    assert!(process.exists());
    drop(running);
    assert!(!process.exists());
    fs::remove_file(&log).unwrap();
}
