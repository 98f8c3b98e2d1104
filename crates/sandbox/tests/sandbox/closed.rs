//! Where something is missing nothing is run.

use crate::*;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::process::Command;

#[test]
fn without_python_an_error_names_it() {
    let error = Python::find("/nowhere/python3", launcher()).unwrap_err();
    assert!(
        matches!(error, SandboxError::PythonMissing { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("`/nowhere/python3` cannot be run: "),
        "{error}"
    );
    let ended = Command::new(LAUNCHER)
        .args(["run", "python3", "pass"])
        .env("PATH", "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.starts_with("error: `python3` cannot be run: "),
        "{said}"
    );
}

#[test]
fn something_else_is_no_python() {
    let error = Python::find("/bin/true", launcher()).unwrap_err();
    assert!(
        matches!(error, SandboxError::PythonBroken { .. }),
        "{error}"
    );
}

#[test]
fn a_launcher_that_does_not_confine_is_an_error() {
    let error = Python::find("python3", Launcher::new("/bin/true", ["confined"])).unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted { .. }), "{error}");
    let error = Python::find("python3", Launcher::new("/nowhere", ["confined"])).unwrap_err();
    assert!(matches!(error, SandboxError::Process(_)), "{error}");
}

#[test]
fn a_python_that_has_gone_is_an_error() {
    let arguments = [
        std::process::id().to_string(),
        "1".into(),
        "1000000000".into(),
        "0".into(),
    ];
    let ended = Command::new(LAUNCHER)
        .arg("confined")
        .args(arguments)
        .arg("/nowhere/python3")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("closing files: "), "{said}");
    assert!(said.ends_with("nothing was run\n"), "{said}");
}

#[test]
fn too_little_for_python_itself_is_an_error() {
    let little = Limits {
        memory: 1 << 20,
        ..limits()
    };
    let error = try_with("pass", &little).unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted { .. }), "{error}");
    let short = Limits {
        time: Duration::ZERO,
        ..limits()
    };
    // It may have begun before anybody looks.
    let told = try_with("pass", &short);
    let in_time = matches!(
        told,
        Ok(Outcome::TimedOut) | Err(SandboxError::NotStarted { .. })
    );
    assert!(in_time, "{told:?}");
}

/// Every step of the confinement, made to fail by a kernel that refuses its system call.
#[test]
fn a_kernel_that_lacks_a_part_runs_nothing() {
    python();
    for (call, step) in [
        (
            libc::SYS_landlock_create_ruleset,
            "closing files: this needs Landlock of Linux 5.13",
        ),
        (libc::SYS_landlock_add_rule, "closing files: "),
        (libc::SYS_landlock_restrict_self, "closing files: "),
        (libc::SYS_seccomp, "closing system calls: "),
        (libc::SYS_prlimit64, "setting limits: "),
        (libc::SYS_capset, "dropping capabilities: "),
        (libc::SYS_prctl, "tying it to its parent: "),
    ] {
        let error = std::thread::spawn(move || without(call)).join().unwrap();
        let said = error.to_string();
        let expected = format!("a confined program did not begin: confinement failed at {step}");
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.ends_with("; nothing was run"), "{said}");
    }
}

/// What a program ends with if it is run by this thread, which may not make `call` any more.
fn without(call: libc::c_long) -> SandboxError {
    // Limits may still be read, which Rust's runtime does and takes for granted.
    let setting =
        || SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0).unwrap();
    let rules = match call {
        libc::SYS_prlimit64 => vec![SeccompRule::new(vec![setting()]).unwrap()],
        _ => Vec::new(),
    };
    let filter = SeccompFilter::new(
        [(call, rules)].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&filter).unwrap();
    try_with("pass", &limits()).unwrap_err()
}
