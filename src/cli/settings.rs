//! Where the configuration comes from: a file, the environment, and what was typed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::SecretString;

use super::{print, tell, test_alert};
use crate::config::{self, Checked, Config, SecretFile};
use crate::templates::Templates;

const USUAL_FILE: &str = "tallybot.toml";

/// Whether the keys and tokens that the configuration names must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Providers and messengers are called.
    Needed,
    /// The books are enough.
    IfThere,
}

/// A configuration that holds.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) data_dir: PathBuf,
    /// Whether the folder was named with `--data-dir`.
    pub(super) folder_was_typed: bool,
    pub(super) warnings: Vec<String>,
}

/// Loads the configuration; the error is what to tell the person.
pub(super) fn load(file: Option<&Path>, data_dir: Option<PathBuf>, secrets: Secrets) -> Result<Loaded, String> {
    let (label, checked) = read(file, secrets)?;
    let folder_was_typed = data_dir.is_some();
    let data_dir = data_dir.unwrap_or_else(|| checked.config.data_dir.clone());
    let warnings = checked.warnings.iter().map(|warning| format!("{label}:{warning}")).collect();
    Ok(Loaded { config: checked.config, data_dir, folder_was_typed, warnings })
}

/// `check-config`: every mistake of a file, or that there is none; then, when asked for, a test of its alerts.
pub(super) async fn check(file: Option<&Path>, send_test_alert: bool) -> anyhow::Result<ExitCode> {
    Ok(match read(file, Secrets::Needed) {
        Ok((label, checked)) => {
            checked.warnings.iter().for_each(|warning| tell(&format_args!("{label}:{warning}")));
            if let Err(error) = Templates::load(checked.config.templates_dir.as_deref()) {
                tell(&format_args!("{label}: `templates.dir`: {error}"));
                return Ok(ExitCode::from(2));
            }
            print(&format!("{label}: the configuration holds\n"))?;
            if send_test_alert {
                return test_alert::send(&checked.config).await;
            }
            ExitCode::SUCCESS
        }
        Err(mistakes) => {
            tell(&mistakes);
            ExitCode::from(2)
        }
    })
}

fn read(file: Option<&Path>, secrets: Secrets) -> Result<(String, Checked), String> {
    let usual = || Some(PathBuf::from(USUAL_FILE)).filter(|path| path.exists());
    let path = file.map(Path::to_owned).or_else(usual);
    let (label, text) = match &path {
        None => ("no configuration file".to_owned(), String::new()),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("tallybot: cannot read the configuration `{}`: {error}", path.display()))?;
            (path.display().to_string(), text)
        }
    };
    let check = match secrets {
        Secrets::Needed => config::check,
        Secrets::IfThere => config::check_without_secrets,
    };
    let checked = check(&text, &label, &|name: &str| std::env::var(name).ok(), &secret_file);
    Ok((label, checked.map_err(|mistakes| mistakes.to_string())?))
}

fn secret_file(path: &str) -> Result<SecretFile, String> {
    let reason = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        kind => kind.to_string(),
    };
    let mode = std::fs::metadata(path).map_err(reason)?.permissions().mode() & 0o777;
    let content = SecretString::from(std::fs::read_to_string(path).map_err(reason)?);
    Ok(SecretFile { content, mode })
}
