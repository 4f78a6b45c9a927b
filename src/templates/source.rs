//! Where the texts come from: the files built into the program, and an owner's folder that replaces some of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Lang, Surface, TemplateError};

/// The largest file an owner's folder may hold, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The file of single words that every language has beside its templates.
pub(super) const WORDS_FILE: &str = "words.toml";

/// What a template's file name ends in.
const SUFFIX: &str = ".j2";

/// One file of one language.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub lang: Lang,
    /// `stats/overview.j2` or `stats/overview.telegram.j2`, relative to the language's folder.
    pub file: Cow<'static, str>,
    pub text: Cow<'static, str>,
    /// The owner's file, when it replaces ours.
    pub path: Option<PathBuf>,
}

impl Source {
    /// The template's name: its file without the suffix.
    pub(super) fn name(&self) -> &str {
        name_and_surface(&self.file).0
    }

    /// The only surface this form of a template is for; `None` for every surface without a form of its own.
    pub(super) fn surface(&self) -> Option<Surface> {
        name_and_surface(&self.file).1
    }

    /// How an error names this file.
    pub(super) fn shown(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => format!("{}/{}", self.lang, self.file),
        }
    }
}

/// The templates of every language in the form that a surface shows.
pub(super) fn shown_on(surface: Surface, sources: &[Source]) -> Vec<&Source> {
    let templates = || sources.iter().filter(|source| source.file != WORDS_FILE);
    let is_own = |source: &&Source| source.surface() == Some(surface);
    let own: BTreeSet<(Lang, &str)> = templates().filter(is_own).map(|source| (source.lang, source.name())).collect();
    let is_for_all = |source: &&Source| source.surface().is_none() && !own.contains(&(source.lang, source.name()));
    templates().filter(|source| is_own(source) || is_for_all(source)).collect()
}

/// A template's name and, for a surface's own form of it, that surface: `stats.telegram.j2` is `stats` on Telegram.
fn name_and_surface(file: &str) -> (&str, Option<Surface>) {
    let name = file.strip_suffix(SUFFIX).unwrap_or(file);
    let own = |surface: &Surface| name.strip_suffix(surface.infix()?)?.strip_suffix('.');
    let found = Surface::ALL.iter().find_map(|surface| Some((own(surface)?, Some(*surface))));
    found.unwrap_or((name, None))
}

/// The names of the templates, without the forms of single surfaces.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let templates = FILES.iter().filter(|file| **file != WORDS_FILE);
    templates.map(|file| name_and_surface(file)).filter(|(_, surface)| surface.is_none()).map(|(name, _)| name)
}

/// Lists the files once and builds them in for every language.
macro_rules! built_in {
    ($($file:literal)*) => {
        /// Every file a language has, relative to its folder.
        pub(super) const FILES: &[&str] = &[$($file,)*];

        fn built_in_text(lang: Lang, file: &str) -> Option<&'static str> {
            match (lang, file) {
                $((Lang::En, $file) => Some(include_str!(concat!("../../templates/en/", $file))),
                  (Lang::Es, $file) => Some(include_str!(concat!("../../templates/es/", $file))),
                  (Lang::Pt, $file) => Some(include_str!(concat!("../../templates/pt/", $file))),
                  (Lang::Fr, $file) => Some(include_str!(concat!("../../templates/fr/", $file))),)*
                _ => None,
            }
        }
    };
}

built_in! {
    "words.toml"
    "part/status.j2" "stats.j2" "stats/overview.j2" "stats/models.j2" "stats/types.j2" "stats/limits.j2"
    "stats/overview.whatsapp.j2" "stats/models.telegram.j2" "stats/models.whatsapp.j2"
    "stats/limits.telegram.j2" "stats/limits.whatsapp.j2"
    "part/requests.j2" "part/spent.j2" "part/model_use.j2" "part/limit_use.j2" "part/levels.j2"
    "part/heading.j2" "part/reading.j2" "part/use.j2"
    "stats_own.j2" "stats_group.j2" "stats_users.j2" "stats_unreadable.j2"
    "help.j2" "welcome.j2" "goodbye.j2" "unknown_command.j2" "id.j2"
    "usage_footer.j2" "usage_on.j2" "usage_off.j2" "cost.j2" "cost_forgotten.j2"
    "part/budget_line.j2" "budgets.j2" "budget_changed.j2" "budget_mistake.j2"
    "refused_limit.j2" "waiting.j2" "answered_instead.j2" "busy.j2" "too_long.j2"
    "cut_off.j2" "cancelled.j2" "nothing_to_cancel.j2" "retry_nothing.j2" "interrupted_hint.j2" "new_conversation.j2"
    "reset_confirm.j2" "reset_done.j2" "reset_denied.j2" "reset_undone.j2" "reset_nothing_to_undo.j2" "reset_kept.j2"
    "model_list.j2" "model_switched.j2" "model_unknown.j2"
    "lang_switched.j2" "lang_unknown.j2"
    "queued.j2" "queue_full.j2" "restarted.j2" "stopped.j2"
    "stranger.j2" "group_stranger.j2" "claim_done.j2" "claim_wrong.j2" "claim_over.j2" "paired.j2" "pairing_wrong.j2"
    "allow_link.j2" "allowed.j2" "already_allowed.j2" "denied.j2" "not_listed.j2" "configured.j2" "allow_list.j2" "admin_only.j2"
    "code_wait.j2" "id_expected.j2" "private_only.j2"
    "unsupported.j2" "photo_too_large.j2" "photo_failed.j2" "no_vision.j2"
    "press_foreign.j2" "press_old.j2" "health.j2" "alert.j2"
    "alert_done.j2"
    "error/rate_limited.j2" "error/quota_exhausted.j2" "error/unauthorized.j2" "error/forbidden.j2"
    "error/not_found.j2" "error/bad_request.j2" "error/context_too_long.j2" "error/gone.j2"
    "error/ledger_unavailable.j2" "error/overloaded.j2" "error/server_error.j2" "error/connect.j2" "error/connect_timeout.j2"
    "error/first_byte_timeout.j2" "error/idle_timeout.j2" "error/total_timeout.j2" "error/stream_cut.j2"
    "error/stream_error.j2" "error/bad_response.j2" "error/cancelled_by_user.j2" "error/client_gone.j2"
    "error/shutdown.j2" "error/limit.j2" "error/budget.j2" "error/busy.j2" "error/not_allowed.j2"
    "error/panic.j2" "error/crash.j2" "error/other.j2"
}

/// The files of a language as they are built in.
pub(super) fn built_in(lang: Lang) -> Vec<Source> {
    let source = |file: &'static str| {
        let text = built_in_text(lang, file).expect("the same list made the names and the texts");
        Source { lang, file: Cow::Borrowed(file), text: Cow::Borrowed(text), path: None }
    };
    FILES.iter().copied().map(source).collect()
}

/// Replaces built-in files by those of the owner's folder `<dir>/<lang>/…`, and takes up their own forms of a text for a
/// single surface. Hidden files are passed over.
///
/// # Errors
/// When the folder cannot be read, or holds a file that replaces nothing or is too large.
pub(super) fn apply_overrides(dir: &Path, sources: &mut Vec<Source>) -> Result<(), TemplateError> {
    for path in files_under(dir, 0)? {
        let relative = path.strip_prefix(dir).unwrap_or(&path);
        let parts: Vec<String> =
            relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let place = parts.split_first().and_then(|(code, file)| replaced(code, file.join("/"), sources));
        if place.is_none() && relative.ends_with(DEMO_WORDS) {
            continue;
        }
        let Some((lang, file)) = place else {
            return Err(TemplateError::Unknown { path });
        };
        let text = Cow::Owned(read_bounded(&path)?);
        sources.retain(|source| source.lang != lang || source.file != file);
        sources.push(Source { lang, file: Cow::Owned(file), text, path: Some(path) });
    }
    Ok(())
}

/// The language and the file an owner's file stands for, when there is such a text.
fn replaced(code: &str, file: String, sources: &[Source]) -> Option<(Lang, String)> {
    let (name, surface) = name_and_surface(&file);
    let is_it =
        |source: &Source| source.file == file || (surface.is_some() && file.ends_with(SUFFIX) && source.name() == name);
    let lang = sources.iter().find(|source| source.lang.code() == code && is_it(source))?.lang;
    Some((lang, file))
}

/// What the demo model says: lies beside the templates and may be copied along, but is the model's, not the bot's.
const DEMO_WORDS: &str = "demo.txt";

/// Folders deeper than this hold nothing of ours.
const MAX_DEPTH: usize = 3;

fn files_under(dir: &Path, depth: usize) -> Result<Vec<PathBuf>, TemplateError> {
    let unreadable = |source| TemplateError::Unreadable { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if path.is_dir() && depth < MAX_DEPTH {
            files.extend(files_under(&path, depth + 1)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_bounded(path: &Path) -> Result<String, TemplateError> {
    let unreadable = |source| TemplateError::Unreadable { path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(TemplateError::TooLarge { path: path.to_owned(), bytes });
    }
    fs::read_to_string(path).map_err(unreadable)
}
