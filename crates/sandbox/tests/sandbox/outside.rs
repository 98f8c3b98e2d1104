//! The network, and whatever else is not a file.

use crate::*;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

#[test]
fn nobody_is_called() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port();
    assert_refused([format!(
        "import socket; socket.create_connection(('127.0.0.1', {port}))"
    )]);
    let line = failure(&format!(
        "import urllib.request\nurllib.request.urlopen('http://{address}/')"
    ));
    assert!(
        line.starts_with("urllib.error.URLError: <urlopen error "),
        "{line}"
    );
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn there_are_no_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let path = path.to_str().unwrap();
    let attempts = [
        format!("socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'hello', {path:?})"),
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM).listen()".to_owned(),
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('', 0))".to_owned(),
        "socket.socket(socket.AF_INET6)".to_owned(),
        "socket.socket(socket.AF_NETLINK)".to_owned(),
        "socket.socketpair()".to_owned(),
    ];
    assert_refused(attempts.map(|attempt| format!("import socket; {attempt}")));
    assert_eq!(
        socket.recv(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn calls_of_the_kernel_that_are_not_for_programs_are_refused() {
    let parent = std::process::id();
    let calls = [
        (
            "ptrace",
            libc::SYS_ptrace,
            format!("0x4206, {parent}, 0, 0"),
        ),
        (
            "process_vm_readv",
            libc::SYS_process_vm_readv,
            format!("{parent}, 0, 0, 0, 0, 0"),
        ),
        ("pidfd_open", libc::SYS_pidfd_open, format!("{parent}, 0")),
        ("unshare", libc::SYS_unshare, "0x10000000".into()),
        ("setns", libc::SYS_setns, "0, 0".into()),
        ("mount", libc::SYS_mount, "0, 0, 0, 0, 0".into()),
        ("chroot", libc::SYS_chroot, "0".into()),
        ("bpf", libc::SYS_bpf, "0, 0, 0".into()),
        ("keyctl", libc::SYS_keyctl, "0, -3, 0".into()),
        ("io_uring_setup", libc::SYS_io_uring_setup, "1, 0".into()),
        ("userfaultfd", libc::SYS_userfaultfd, "0".into()),
        (
            "perf_event_open",
            libc::SYS_perf_event_open,
            "0, 0, -1, -1, 0".into(),
        ),
        (
            "memfd_create",
            libc::SYS_memfd_create,
            "b'memory', 0".into(),
        ),
        ("shmget", libc::SYS_shmget, "0, 4096, 0o600".into()),
        ("clone3", libc::SYS_clone3, "0, 0".into()),
        ("seccomp", libc::SYS_seccomp, "0, 0, 0".into()),
        ("setuid", libc::SYS_setuid, "0".into()),
        ("reboot", libc::SYS_reboot, "0, 0, 0, 0".into()),
        (
            "clone of a process",
            libc::SYS_clone,
            "17, 0, 0, 0, 0".into(),
        ),
    ];
    assert_refused(calls.map(|(name, call, arguments)| {
        format!(
            "import ctypes # {name}\n\
             if ctypes.CDLL(None, use_errno=True).syscall({call}, {arguments}) == -1:\n \
             raise OSError(ctypes.get_errno(), 'refused')"
        )
    }));
}

#[test]
fn a_program_inherits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let program = r#"
import os
names = set(os.environ) - {"PYTHONHASHSEED", "MALLOC_ARENA_MAX", "LC_CTYPE"}
assert not names, names
for number in range(4, 2000):
    try: os.fstat(number)
    except OSError: continue
    assert False, number
"#;
    let inherit = r#"exec 9<"$0" 700<"$0" && exec "$@""#;
    let ended = Command::new("bash")
        .args(["-c", inherit])
        .arg(&secret)
        .args([LAUNCHER, "run", "python3", program])
        .env("SECRET", "secret")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&ended.stdout),
        "passed\n",
        "{ended:?}"
    );
}
