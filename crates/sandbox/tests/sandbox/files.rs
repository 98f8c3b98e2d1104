//! Files that are not the program's.

use crate::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A folder beside those of programs, with a file that is not theirs.
fn secret() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "secret").unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

#[test]
fn files_of_others_are_not_read() {
    let (folder, path) = secret();
    let beside = folder.path().file_name().unwrap().to_str().unwrap();
    let beside = format!("../{beside}/secret");
    let others = [
        "/etc/passwd",
        "/proc/self/status",
        "/bin/sh",
        "/root/.bashrc",
        LAUNCHER,
    ];
    // What is not there cannot be read anywhere.
    let others = others.into_iter().filter(|path| Path::new(path).exists());
    let files = others.chain([path.as_str(), &beside]);
    assert_refused(files.map(|file| format!("open({file:?}, 'rb').read()")));
}

#[test]
fn folders_of_others_are_not_listed() {
    let source = env!("CARGO_MANIFEST_DIR");
    let folders = [
        "..", "/", "/etc", "/tmp", "/proc", "/usr/bin", "/sys", "/dev", source,
    ];
    assert_refused(folders.map(|folder| format!("import os; os.listdir({folder:?})")));
}

#[test]
fn links_lead_nowhere() {
    let (_folder, path) = secret();
    assert_refused([
        format!("import os; os.symlink({path:?}, 'link'); open('link').read()"),
        format!("import os; os.link({path:?}, 'link')"),
    ]);
}

#[test]
fn files_of_others_stay_as_they_are() {
    let (folder, path) = secret();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(&path).unwrap();
    let harms = [
        "open(path, 'w')",
        "open(path, 'a')",
        "os.open(path, os.O_WRONLY)",
        "os.truncate(path, 0)",
        "os.remove(path)",
        "os.chmod(path, 0o666)",
        "os.chown(path, os.getuid(), os.getgid())",
        "os.utime(path)",
        "os.setxattr(path, 'user.mark', b'mark')",
        "os.rename(path, path + '2')",
        "open(path + '2', 'w')",
        "os.mkdir(path + '2')",
        "os.mkfifo(path + '2')",
        "os.rmdir(os.path.dirname(path))",
    ];
    assert_refused(harms.map(|harm| format!("import os\npath = {path:?}\n{harm}")));
    for moved in [
        "os.rename(path, 'mine')",
        "open('mine', 'w'); os.rename('mine', path)",
    ] {
        let line = failure(&format!("import os\npath = {path:?}\n{moved}"));
        // What Landlock says of a rename from folder to folder.
        assert!(
            line.starts_with("OSError: [Errno 18] ") || line.starts_with("PermissionError"),
            "{line}"
        );
    }
    let after = fs::metadata(&path).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(before.permissions(), after.permissions());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(path).unwrap(), "secret");
}

#[test]
fn nothing_is_written_where_everybody_may() {
    let folders = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock"];
    let folders = folders
        .into_iter()
        .filter(|folder| Path::new(folder).exists());
    assert_refused(
        folders.map(|folder| format!("import tempfile; tempfile.TemporaryFile(dir={folder:?})")),
    );
}

#[test]
fn libraries_are_not_written() {
    assert_refused([
        "import os\nos.open(os.__file__, os.O_WRONLY)",
        "import os\nopen(os.path.join(os.path.dirname(os.__file__), 'sandbox-test'), 'w')",
    ]);
}

#[test]
fn the_folder_holds_files_alone_and_stays_where_it_is() {
    assert_refused([
        "import os; os.mkdir('folder')",
        "import os; os.mkfifo('pipe')",
        "import os; os.rmdir(os.getcwd())",
        "import shutil, os; shutil.rmtree(os.getcwd())",
        "import os; os.chmod('.', 0)",
        "import os; os.rename(os.getcwd(), os.getcwd() + '2')",
    ]);
}

#[test]
fn root_is_nobody_special() {
    let program = r#"
import os
os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0))
open("file").read()
"#;
    assert_refused([program]);
}

#[test]
fn nothing_is_left_of_a_program() {
    let home = tempfile::tempdir().unwrap();
    let program = "import os\nfor number in range(99): open(str(number), 'w')\nassert False";
    let ended = std::process::Command::new(LAUNCHER)
        .args(["run", "python3", program])
        .env("TMPDIR", home.path())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&ended.stdout),
        "failed: AssertionError\n"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
