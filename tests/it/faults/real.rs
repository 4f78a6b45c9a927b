//! The machine's own tools: file systems that are small, a tracer that makes calls fail. A test that may not use one says
//! NOT CHECKED aloud, and fails where `TALLYBOT_REAL_KERNEL=1` promises that it may.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a tool gave, or `None` where this machine has no such tool or right.
pub fn checked<T>(row: &str, got: Result<T, String>) -> Option<T> {
    match got {
        Ok(value) => Some(value),
        Err(reason) if std::env::var("TALLYBOT_REAL_KERNEL").is_ok_and(|value| value == "1") => {
            panic!("{row} cannot be checked: {reason}")
        }
        Err(reason) => {
            // Past the harness, which hides what a test that passes has printed.
            let said = writeln!(std::io::stderr(), "NOT CHECKED: {row}: {reason}");
            drop(said);
            None
        }
    }
}

/// Runs a tool to its end; what it complains about if it fails.
pub fn tool(name: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(name).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`{name}` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{name} {}` failed: {complaint}", arguments.join(" ")))
}

/// A mounted file system. Unmounted when dropped.
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// A file system in memory, this large.
    pub fn tmpfs(at: &Path, size: &str) -> Result<Mount, String> {
        Mount::new(at, &["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tallybot-test"])
    }

    /// The file system in an image file.
    pub fn image(at: &Path, image: &Path) -> Result<Mount, String> {
        Mount::new(at, &["-o", "loop", text(image)])
    }

    fn new(at: &Path, arguments: &[&str]) -> Result<Mount, String> {
        if !at.is_dir() {
            std::fs::create_dir(at).map_err(|error| error.to_string())?;
        }
        tool("mount", &[arguments, &[text(at)]].concat())?;
        Ok(Mount { at: at.to_owned() })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that is just ending may still hold it: then it goes with that.
        if tool("umount", &[text(&self.at)]).is_err() {
            drop(tool("umount", &["--lazy", text(&self.at)]));
        }
    }
}

/// A file or folder that nobody may change, not even its owner. Set free when dropped.
pub struct Unchangeable(PathBuf);

impl Unchangeable {
    pub fn make(path: &Path) -> Result<Unchangeable, String> {
        tool("chattr", &["+i", text(path)]).map(|_| Unchangeable(path.to_owned()))
    }
}

impl Drop for Unchangeable {
    fn drop(&mut self) {
        drop(tool("chattr", &["-i", text(&self.0)]));
    }
}

/// Fills the file system that a file is on.
pub fn fill(filler: &Path) {
    let mut file = std::fs::File::create(filler).expect("a file");
    for block in [4096, 64, 1] {
        while file.write_all(&vec![b'x'; block]).is_ok() {}
    }
}

/// A tracer that makes calls on some files fail or wait: `inject` as `strace` takes it. The traced process keeps its
/// place as our child.
pub fn tracer(files: &[&Path], inject: &str) -> Result<Vec<String>, String> {
    tool("strace", &["-o", "/dev/null", "true"])?;
    let call = inject.split(':').next().unwrap_or_default();
    let mut runner: Vec<String> =
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]
            .map(str::to_owned)
            .into();
    runner.push(format!("inject={inject}"));
    for file in files {
        runner.extend(["-P".to_owned(), text(file).to_owned()]);
    }
    Ok(runner)
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
