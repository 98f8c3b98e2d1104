//! How programs end that do no harm, or mean to look as if they had passed.

use crate::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[test]
fn a_program_that_runs_to_its_end_passes() {
    assert_eq!(run("assert sorted([2, 1]) == [1, 2]"), Outcome::Passed);
    assert_eq!(run(""), Outcome::Passed);
    assert_eq!(run("print('ü' * 1000000)"), Outcome::Passed);
}

#[test]
fn a_program_is_the_main_module_with_the_standard_library() {
    let program = r#"
import dataclasses, math, pickle, sys, typing, unittest, zoneinfo

@dataclasses.dataclass
class Point:
    x: int
    y: "typing.Optional[int]" = None

assert __name__ == "__main__"
assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
assert typing.get_type_hints(Point)["y"] == typing.Optional[int]
assert sys.argv == ["program.py"]
assert sys.stdin.read() == ""
assert math.isclose(math.pi, 3.14159, rel_tol=1e-5)
if __name__ == "__main__":
    reached = True
assert reached
"#;
    assert_eq!(run(program), Outcome::Passed);
}

#[test]
fn what_is_wrong_is_said_by_the_last_line() {
    assert_eq!(
        failure("assert 1 == 2, 'not equal'"),
        "AssertionError: not equal"
    );
    assert_eq!(failure("assert 1 == 2"), "AssertionError");
    assert!(failure("def f(:").starts_with("SyntaxError: "));
    assert!(failure("undefined").starts_with("NameError: "));
    assert!(failure("def f(): f()\nf()").starts_with("RecursionError: "));
    assert_eq!(
        failure("import sys; sys.exit(3)"),
        "it ended itself: exit status: 3"
    );
}

#[test]
fn a_line_is_short_and_does_not_speak_to_terminals() {
    let line = failure("raise ValueError('\\x1b[31m' + 'a' * 1000)");
    assert!(line.starts_with("ValueError:  [31maaa"), "{line}");
    assert!(line.ends_with("a…"), "{line}");
    assert_eq!(line.chars().count(), 201);
}

#[test]
fn ending_early_is_no_pass() {
    let early = "it ended before its last statement";
    for program in [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os.write(1, b'done'); os._exit(0)",
        "import os; os.write(3, b'done'); os._exit(0)",
        "import os; os.write(3, b'done' * 1000); os._exit(0)",
        "import os; os.write(3, b'done' * 1000)",
        "import os, sys; os.execv(sys.executable, ['python', '-c', 'pass'])",
    ] {
        assert_eq!(failure(program), early, "{program}");
    }
}

#[test]
fn a_signal_is_no_pass() {
    assert_eq!(
        run("import os; os.kill(os.getpid(), 9)"),
        Outcome::Killed(9)
    );
    assert_eq!(run("import os; os.abort()"), Outcome::Killed(6));
}

#[test]
fn the_same_program_ends_the_same_way() {
    let program = "raise ValueError(list({str(number) for number in range(20)}))";
    assert_eq!(failure(program), failure(program));
}

#[test]
fn a_program_has_threads() {
    let program = r#"
import concurrent.futures, threading
with concurrent.futures.ThreadPoolExecutor(12) as pool:
    barrier = threading.Barrier(12)
    assert sum(pool.map(lambda n: barrier.wait() * 0 + n, range(12))) == 66
"#;
    assert_eq!(run(program), Outcome::Passed);
}

#[test]
fn a_program_that_leaves_threads_behind_has_ended() {
    let program = "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()";
    assert_eq!(run(program), Outcome::Passed);
}

#[test]
fn a_program_has_files_in_its_folder_and_none_of_another() {
    let program = r#"
import os, tempfile
assert os.listdir() == []
with open("a", "w") as file:
    file.write("text")
os.rename("a", "b")
assert open("b").read() == "text"
with open("b", "w") as file:
    pass
assert os.listdir(os.getcwd()) == ["b"]
os.remove("b")
with open(os.devnull, "w") as file:
    file.write("text")
with tempfile.TemporaryFile(dir=".") as file:
    file.write(b"text")
"#;
    assert_eq!(run(program), Outcome::Passed);
    assert_eq!(run(program), Outcome::Passed);
}

#[test]
fn a_raised_flag_ends_the_program() {
    let cancel = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&cancel);
    python();
    let started = Instant::now();
    let raise = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        raised.store(true, Ordering::Relaxed);
    });
    let ended = python().run("while True: pass", &Limits::default(), &cancel);
    raise.join().unwrap();
    assert!(matches!(ended, Err(SandboxError::Cancelled)), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
}
