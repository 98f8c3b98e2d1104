//! Programs that take more than they may.

use crate::*;
use std::time::Instant;

#[test]
fn a_loop_without_end_is_ended() {
    let started = Instant::now();
    assert_eq!(run_with("while True: pass", &hasty()), Outcome::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn sleep_counts_and_signals_are_not_heard() {
    let program = r#"
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: time.sleep(60)
"#;
    assert_eq!(run_with(program, &hasty()), Outcome::TimedOut);
}

#[test]
fn the_time_of_the_processor_is_limited() {
    let limits = Limits {
        cpu: Duration::from_millis(10),
        ..limits()
    };
    assert_eq!(run_with("while True: pass", &limits), Outcome::TimedOut);
    let deaf = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass";
    assert_eq!(run_with(deaf, &limits), Outcome::Killed(9));
}

#[test]
fn memory_is_limited() {
    assert_eq!(run("bytearray(1 << 30)"), Outcome::OutOfMemory);
    assert_eq!(
        run("kept = [bytearray(1 << 20) for _ in range(2000)]"),
        Outcome::OutOfMemory
    );
}

#[test]
fn limits_cannot_be_raised() {
    let program = "import resource\nlimit = resource.getrlimit(resource.RLIMIT_AS)\n\
        assert limit == (256 << 20, 256 << 20), limit\nresource.setrlimit(resource.RLIMIT_AS, limit)";
    assert_refused([program]);
}

#[test]
fn threads_are_counted() {
    let program = r#"
import threading, time
threading.stack_size(32768)
for _ in range(1000):
    threading.Thread(target=time.sleep, args=(60,)).start()
time.sleep(2)
"#;
    assert_eq!(run(program), Outcome::TooManyThreads);
}

#[test]
fn the_name_of_a_thread_is_not_its_number() {
    let program = r#"
import ctypes, time
PR_SET_NAME = 15
assert ctypes.CDLL(None).prctl(PR_SET_NAME, b"\xff\nThreads:\t99") == 0
time.sleep(0.1)
"#;
    assert_eq!(run(program), Outcome::Passed);
}

#[test]
fn output_without_end_is_dropped() {
    let program = r#"
import sys
while True:
    sys.stdout.write("x" * 65536)
    sys.stderr.write("x" * 65536)
"#;
    assert_eq!(run_with(program, &hasty()), Outcome::TimedOut);
}

#[test]
fn the_last_line_is_kept_of_a_lot() {
    let program =
        "import sys\nfor _ in range(300): sys.stderr.write('x' * 65536 + '\\n')\nassert False";
    assert_eq!(failure(program), "AssertionError");
}

#[test]
fn a_file_is_limited() {
    let line = failure("open('file', 'wb').write(bytes(2 << 20))");
    assert!(line.starts_with("OSError: [Errno 27] "), "{line}");
}

#[test]
fn files_are_limited_altogether() {
    let large = r#"
import time
for number in range(3):
    open(str(number), "wb").write(bytes(900 << 10))
time.sleep(2)
"#;
    assert_eq!(run(large), Outcome::TooMuchOnDisk);
    let many = "import time\nfor number in range(500): open(str(number), 'w')\ntime.sleep(2)";
    assert_eq!(run(many), Outcome::TooMuchOnDisk);
}
