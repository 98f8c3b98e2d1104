//! Other processes: those that a program would start, and those that are there.

use crate::*;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn no_process_is_started() {
    assert_refused([
        "import os; os.fork()",
        "import os\nfor _ in range(6): os.fork()",
        "import os; os.forkpty()",
        "import os, sys; os.posix_spawn(sys.executable, ['python', '-c', 'pass'], {})",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'])",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], preexec_fn=int)",
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=int).start()",
    ]);
    assert_eq!(
        run("import os; assert os.system('true') != 0"),
        Outcome::Passed
    );
}

#[test]
fn a_program_does_not_leave_its_group() {
    let daemon = r#"
import os
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
"#;
    assert_refused([
        "import os; os.setsid()",
        "import os; os.setpgid(0, 0)",
        daemon,
    ]);
}

#[test]
fn nobody_is_sent_a_signal() {
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    let other = bystander.id();
    let signals = [
        format!("os.kill({other}, 9)"),
        "os.kill(os.getppid(), 0)".to_owned(),
        format!("os.killpg(os.getpgid({other}), 0)"),
        format!("signal.pidfd_send_signal(os.pidfd_open({other}), 9)"),
    ];
    assert_refused(signals.map(|signal| format!("import os, signal\n{signal}")));
    let lives = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(lives);
}

#[test]
fn the_parent_is_not_ended() {
    let parent = "import os; os.kill(os.getppid(), 9)";
    let group = "import os; os.killpg(os.getpgid(os.getppid()), 9)";
    for program in [parent, group] {
        let ended = Command::new(LAUNCHER)
            .args(["run", "python3", program])
            .process_group(0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(
            said,
            "failed: OSError: [Errno 38] Function not implemented\n"
        );
    }
}

#[test]
fn nobody_is_looked_at() {
    let parent = std::process::id();
    let files = [
        "environ",
        "cmdline",
        "maps",
        "mem",
        "status",
        "cwd/Cargo.toml",
        "root/etc/passwd",
    ];
    let files = files.map(|file| format!("open('/proc/{parent}/{file}', 'rb').read()"));
    let others = [
        "import os\nopen(f'/proc/{os.getppid()}/environ').read()".to_owned(),
        format!("import os\nos.readlink('/proc/{parent}/cwd')"),
        format!("import os\nos.listdir('/proc/{parent}/fd')"),
    ];
    assert_refused(files.into_iter().chain(others));
}

#[test]
fn a_program_does_not_outlive_the_one_that_runs_it() {
    let home = tempfile::tempdir().unwrap();
    let program = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True: pass";
    let mut parent = Command::new(LAUNCHER)
        .args(["run", "python3", program])
        .env("TMPDIR", home.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let written = || {
        fs::read_dir(home.path())
            .ok()?
            .find_map(|entry| pid(&entry.ok()?.path()))
    };
    let process = wait_for(written, "it runs");
    assert!(runs(&process));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_for(|| (!runs(&process)).then_some(()), "it has ended");
}

fn pid(folder: &Path) -> Option<PathBuf> {
    let pid = fs::read_to_string(folder.join("pid")).ok()?;
    (!pid.is_empty()).then(|| Path::new("/proc").join(pid))
}

/// Whether there is the process, or somebody has yet to hear that there is no more.
fn runs(process: &Path) -> bool {
    fs::read_to_string(process.join("status")).is_ok_and(|status| !status.contains("State:\tZ"))
}

fn wait_for<T>(condition: impl Fn() -> Option<T>, what: &str) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "not in time: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
