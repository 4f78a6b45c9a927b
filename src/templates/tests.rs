//! The laws of the texts: every language says the same things, broken files stop the start, names cannot play tricks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::json;

use super::messages::{MESSAGES, message, samples};
use super::*;

fn templates() -> Templates {
    Templates::load(None).expect("nothing is read yet")
}

#[test]
fn the_built_in_texts_are_whole_in_every_language_and_are_read_when_it_is_first_spoken() {
    Templates::checked(None).expect("whole");
    let templates = templates();
    let spoken = || templates.speakers.iter().map(|speaker| speaker.get().is_some()).collect::<Vec<bool>>();
    assert_eq!(spoken(), [false; 4]);
    assert_eq!(templates.render(Lang::Es, "goodbye", json!({})), "Hasta luego.");
    assert_eq!(spoken(), [false, true, false, false]);
    for lang in Lang::ALL {
        assert!(!templates.commands(lang).is_empty(), "{lang}");
    }
}

#[test]
fn every_sample_has_exactly_the_fields_of_its_message() {
    for message in MESSAGES {
        for sample in message.samples {
            let sample: BTreeMap<String, serde_json::Value> = serde_json::from_str(sample).expect("JSON");
            let found: BTreeSet<&str> = sample.keys().map(String::as_str).collect();
            assert_eq!(found, message.fields.iter().copied().collect(), "{}", message.name);
        }
    }
    for name in source::names() {
        assert!(message(name).is_some() && !samples(name).is_empty(), "`{name}` has no contract");
    }
}

/// The variables a template reads, found without running it: the fields named inside its tags, outside quotes.
fn variables(text: &str, fields: &[&str]) -> BTreeSet<String> {
    let is_tag = |position: usize| text[..position].rfind(['{', '}']).is_some_and(|at| text[at..].starts_with('{'));
    let mut quoted = false;
    let mut inside = String::new();
    for (position, c) in text.char_indices() {
        if !is_tag(position) {
            quoted = false;
            inside.push(' ');
        } else if c == '"' {
            quoted = !quoted;
            inside.push(' ');
        } else if !quoted {
            inside.push(c);
        }
    }
    let words = inside.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    words.filter_map(|word| word.split('.').next()).filter(|word| fields.contains(word)).map(str::to_owned).collect()
}

#[test]
fn every_language_uses_the_same_variables_and_defines_the_same_words() {
    let english = source::built_in(Lang::En);
    for lang in [Lang::Es, Lang::Pt, Lang::Fr] {
        for (ours, theirs) in english.iter().zip(source::built_in(lang)) {
            assert_eq!(ours.file, theirs.file);
            let fields = message(ours.name()).map_or(&[][..], |message| message.fields);
            let (expected, found) = (variables(&ours.text, fields), variables(&theirs.text, fields));
            assert_eq!(expected, found, "{lang}/{}", ours.file);
        }
    }
    let templates = templates();
    let keys = |lang| templates.speaker(lang).vocabulary.keys();
    for lang in Lang::ALL {
        assert_eq!(keys(lang), keys(Lang::En), "{lang}");
    }
}

#[test]
fn no_file_lies_in_the_folders_that_is_not_built_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut sources: Vec<Source> = Lang::ALL.into_iter().flat_map(source::built_in).collect();
    source::apply_overrides(&root, &mut sources).expect("every file is known");
    let built_in = Lang::ALL.len() * source::FILES.len();
    assert_eq!(sources.iter().filter(|source| source.path.is_some()).count(), built_in, "the same files lie there");
}

#[test]
fn every_message_in_every_language_fits_and_says_something() {
    let templates = templates();
    for lang in Lang::ALL {
        for name in source::names() {
            for sample in samples(name) {
                let text = templates.render(lang, name, sample);
                assert_ne!(text, format!("[{name}]"), "{lang}/{name}");
                assert!(!text.contains("none") && !text.contains("· ·"), "{lang}/{name}:\n{text}");
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= 80, "{lang}/{name} has a line of {widest} characters:\n{text}");
            }
        }
    }
}

#[test]
fn what_a_caller_leaves_out_is_absent() {
    let text = templates().render(Lang::En, "error/connect", json!({}));
    assert!(text.starts_with("I cannot reach the provider."), "{text}");
    assert_eq!(templates().render(Lang::En, "goodbye", ()), "Goodbye.");
    assert_eq!(templates().render(Lang::En, "no_such_message", json!({})), "[no_such_message]");
}

#[test]
fn a_name_cannot_move_the_cursor_or_add_lines() {
    let hostile = "gpt\u{1b}[2J\n\u{202e}evil";
    let context = json!({ "provider": hostile, "model": hostile, "local": false });
    let text = templates().render(Lang::En, "model_switched", context);
    assert_eq!(text, "Now gpt[2Jevil answers (gpt[2Jevil, in the cloud).");
}

#[test]
fn what_a_limit_is_about_is_said_in_the_persons_words_and_values_stay() {
    let templates = templates();
    let about = |lang, scope: &str| templates.speaker(lang).vocabulary.scope(scope);
    assert_eq!(about(Lang::Es, "everything"), "todo");
    assert_eq!(about(Lang::Pt, "provider:cloud user:k7f3"), "provedor:cloud usuário:k7f3");
    assert_eq!(about(Lang::Fr, "model:llama3.2:3b"), "modèle:llama3.2:3b");
    for name in ["GitHub Models", "cloud", "*", "llama3.2:3b"] {
        assert_eq!(about(Lang::Es, name), name);
    }
}

#[test]
fn a_cost_with_an_estimate_in_it_is_marked_and_nothing_is_nothing() {
    let used = |cost: &str| json!({ "prompt_tokens": 9, "estimated": true, "local": false, "cost_usd": cost });
    let footer = |cost| templates().render(Lang::En, "usage_footer", used(cost));
    assert_eq!(footer("0.25"), "in ~9 · ~$0.25");
    assert_eq!(footer("0"), "in ~9 · $0");
}

fn load_with(file: &str, text: &str) -> Result<Templates, TemplateError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, text).expect("written");
    Templates::load(Some(folder.path()))
}

#[test]
fn an_owners_file_replaces_ours_in_its_language_only() {
    let templates = load_with("es/goodbye.j2", "¡Chao!\n").expect("a good file");
    assert_eq!(templates.render(Lang::Es, "goodbye", json!({})), "¡Chao!");
    assert_eq!(templates.render(Lang::En, "goodbye", json!({})), "Goodbye.");
}

#[test]
fn a_broken_file_stops_the_start_and_names_file_and_line() {
    let table = [
        ("en/help.j2", "one\n{{ bot }\n", "line 2"),
        ("en/help.j2", "one\ntwo\n{{ bto }}\n", "line 3"),
        ("fr/cost.j2", "{{ model|nosuchfilter }}", "line 1"),
        ("en/stats/overview.j2", "a\n{{ requests.totl|number }}", "line 2"),
        ("pt/words.toml", "months = 1\n", "line 1"),
    ];
    for (file, text, line) in table {
        let error = load_with(file, text).expect_err("broken").to_string();
        assert!(error.contains(file) && error.contains(line), "{error}");
    }
    for file in ["en/hepl.j2", "de/help.j2", "help.j2"] {
        let error = load_with(file, "x").expect_err("unknown").to_string();
        assert!(error.contains("replaces no text"), "{error}");
    }
    let large = "x".repeat(source::MAX_FILE_BYTES as usize + 1);
    assert!(matches!(load_with("en/help.j2", &large), Err(TemplateError::TooLarge { .. })));
    let missing = Path::new("/no/such/folder");
    assert!(matches!(Templates::load(Some(missing)), Err(TemplateError::Unreadable { .. })));
}

/// Whether every tag is one Telegram knows and is closed in its turn, code holds none, and all else is escaped.
pub(super) fn is_whole_html(html: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut parts = html.split('<');
    let mut texts = vec![parts.next().unwrap_or_default()];
    for part in parts {
        let Some((tag, text)) = part.split_once('>') else { return false };
        texts.push(text);
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return false,
            Some(_) => {}
            None => {
                let name = tag.strip_suffix(" expandable").unwrap_or(tag);
                let is_known = ["b", "i", "code", "pre", "blockquote"].contains(&name);
                let is_literal = |name: &&str| ["code", "pre"].contains(name);
                if !is_known || open.contains(&name) || open.iter().any(is_literal) {
                    return false;
                }
                open.push(name);
            }
        }
    }
    let is_escaped = |text: &&str| {
        text.split('&').skip(1).all(|rest| ["lt;", "gt;", "amp;"].iter().any(|entity| rest.starts_with(entity)))
    };
    open.is_empty() && texts.iter().all(|text| !text.contains('>') && is_escaped(text))
}

#[test]
fn every_text_is_whole_html_on_telegram_and_holds_no_stray_marks_on_whatsapp() {
    let templates = templates();
    for lang in Lang::ALL {
        for name in source::names() {
            for sample in samples(name) {
                let html = templates.render_for(Surface::Telegram, lang, name, &sample);
                assert!(is_whole_html(&html), "{lang}/{name}:\n{html}");
                let text = templates.render_for(Surface::WhatsApp, lang, name, &sample);
                assert!(!text.contains("**") && !text.contains("<b>"), "{lang}/{name}:\n{text}");
                for line in text.lines() {
                    let line = line.replace(" * ", "");
                    assert!(line.matches('*').count().is_multiple_of(2), "{lang}/{name}:\n{text}");
                }
            }
        }
    }
}

#[test]
fn a_name_cannot_pass_for_markup() {
    let hostile = "<b>&\u{fdd0}gpt";
    let context = json!({ "provider": hostile, "model": hostile, "local": false });
    let html = templates().render_for(Surface::Telegram, Lang::En, "model_switched", context);
    assert!(html.contains("&lt;b&gt;&amp;gpt") && is_whole_html(&html), "{html}");
}

#[test]
fn an_owner_may_give_a_text_another_form_on_one_surface() {
    let templates = load_with("es/goodbye.telegram.j2", "{{ \"¡Chao!\"|bold }}\n").expect("a good file");
    let goodbye = |surface| templates.render_for(surface, Lang::Es, "goodbye", json!({}));
    assert_eq!(Surface::ALL.map(goodbye), ["Hasta luego.", "<b>¡Chao!</b>", "Hasta luego."]);
    let error = load_with("es/goodbye.telegram.j2", "one\n{{ x }}").expect_err("broken").to_string();
    assert!(error.contains("goodbye.telegram.j2") && error.contains("line 2"), "{error}");
    for file in ["es/goodbye.signal.j2", "es/words.telegram.toml", "es/godbye.telegram.j2"] {
        let error = load_with(file, "x").expect_err("unknown").to_string();
        assert!(error.contains("replaces no text"), "{error}");
    }
}

#[test]
fn every_alert_in_every_language_and_form() {
    let templates = templates();
    for lang in Lang::ALL {
        let shown: Vec<String> = Surface::ALL
            .into_iter()
            .flat_map(|surface| samples("alert").into_iter().map(move |sample| (surface, sample)))
            .map(|(surface, sample)| {
                let text = templates.render_for(surface, lang, "alert", &sample);
                format!("--- {surface} {}\n{text}\n", sample["alert"].as_str().expect("a name"))
            })
            .collect();
        insta::assert_snapshot!(format!("alerts_{lang}"), shown.concat());
    }
}

#[test]
fn an_alert_says_what_happened_in_its_first_line_and_a_sign_how_bad_it_is() {
    let templates = templates();
    for (lang, sample) in
        Lang::ALL.into_iter().flat_map(|lang| samples("alert").into_iter().map(move |one| (lang, one)))
    {
        let text = templates.render(lang, "alert", &sample);
        let sign = match sample["severity"].as_str().expect("a word") {
            _ if sample["alert"] == "test" => "🔔 ",
            "info" => "🟢 ",
            "caution" => "🟡 ",
            "warning" => "🟠 ",
            _ => "🔴 ",
        };
        assert!(text.starts_with(sign) && !text.contains("\n\n"), "{lang}:\n{text}");
    }
}
