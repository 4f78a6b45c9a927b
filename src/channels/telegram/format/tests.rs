//! What models write, and what a reader of Telegram's HTML makes of ours.

use proptest::prelude::*;

use super::*;

/// Reads HTML as strictly as Telegram: gives its text and the number of its entities, or what is wrong.
pub(in crate::channels::telegram) fn strict(html: &str) -> Result<(String, usize), String> {
    let (mut text, mut open, mut entities, mut rest) = (String::new(), Vec::<String>::new(), 0, html);
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(entity) = ["&lt;", "&gt;", "&amp;"].iter().find(|entity| rest.starts_with(**entity)) {
            text.push(match *entity {
                "&lt;" => '<',
                "&gt;" => '>',
                _ => '&',
            });
            rest = &rest[entity.len()..];
            continue;
        }
        let end = rest.find('>').ok_or("a bare & or <")?;
        let tag = rest.strip_prefix('<').ok_or("a bare &")?[..end - 1].to_owned();
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop().ok_or(format!("</{name}> closes nothing"))?;
            if opened != name {
                return Err(format!("</{name}> closes <{opened}>"));
            }
            continue;
        }
        let name = tag.split(' ').next().unwrap_or_default().to_owned();
        let inside_mono = open.iter().any(|open| open == "pre" || open == "code");
        let is_language = name == "code" && tag.starts_with("code class=\"language-");
        match (name.as_str(), tag.as_str()) {
            ("code", _) if is_language => {
                if open.last().is_none_or(|open| open != "pre") {
                    return Err("a language outside of <pre>".into());
                }
            }
            (_, "b" | "i" | "s" | "code" | "pre" | "blockquote") => entities += 1,
            ("a", link) => {
                let url = link.strip_prefix("a href=\"").and_then(|url| url.strip_suffix('"')).ok_or("a bad link")?;
                if url.contains(['"', '<', '>']) {
                    return Err("a link that is not escaped".into());
                }
                entities += 1;
            }
            _ => return Err(format!("<{tag}> is unknown")),
        }
        if (inside_mono && !is_language) || (name == "blockquote" && open.contains(&name)) {
            return Err(format!("<{name}> inside {open:?}"));
        }
        if matches!(name.as_str(), "code" | "pre") && !is_language && open.iter().any(|open| open != "blockquote") {
            return Err(format!("<{name}> inside {open:?}"));
        }
        open.push(name);
    }
    text.push_str(rest);
    if text.contains('\0') || !open.is_empty() { Err(format!("{open:?} stays open")) } else { Ok((text, entities)) }
}

#[track_caller]
fn check(markdown: &str, html: &str) {
    let formatted = format(markdown);
    assert_eq!(&*formatted.html, html, "{markdown:?}");
    assert_eq!(strict(html).map(|(text, _)| text).as_deref(), Ok(&*formatted.plain), "{markdown:?}");
    assert_eq!(plain(markdown), formatted.plain);
}

#[test]
fn the_marks_of_models_become_tags() {
    check("**bold** *it* _it_ ~~gone~~ `a<b`", "<b>bold</b> <i>it</i> <i>it</i> <s>gone</s> <code>a&lt;b</code>");
    check("***both*** **a *b* c**", "<b><i>both</i></b> <b>a <i>b</i> c</b>");
    check("# One\ntext\n\n## Two\n\nmore", "<b>One</b>\ntext\n\n<b>Two</b>\n\nmore");
    check("[a](https://x.y/?a=1&b=\"2\")", "<a href=\"https://x.y/?a=1&amp;b=&quot;2&quot;\">a</a>");
    check("这是**重要**的", "这是<b>重要</b>的");
    check("a\n\n---\n\nb", "a\n\n———\n\nb");
    check("one  \ntwo\nthree", "one\ntwo\nthree");
    check("", "");
    check(" \n\n ", "");
}

#[test]
fn what_is_no_pair_of_marks_stays_text() {
    for text in [
        "snake_case_words and __init__.py_x",
        "2*3*4",
        "2**3**4",
        "2*3 + 4*5",
        "a * b * c",
        "**open",
        "*open",
        "`open",
        "x ~ y ~ z",
        "5 < 6 & 7 > 3",
        "#hashtag",
        "[not a link]",
        "[open](http://x",
        "$5 and $6",
        "a | b",
        "1.23-4",
        "https://a.b/c_d_e",
    ] {
        let formatted = format(text);
        assert_eq!(&*formatted.plain, text);
        assert!(!formatted.html.contains('/') || text.contains('/'), "no tags in {text}");
    }
    assert_eq!(&*format("Vec<T> & <br> <b>x</b>").plain, "Vec<T> & \n <b>x</b>", "a line break is one");
}

#[test]
fn code_holds_nothing_else_and_stands_in_nothing_but_a_quote() {
    check("**run `cargo` now**", "<b>run </b><code>cargo</code><b> now</b>");
    check("## The `x` type", "<b>The </b><code>x</code><b> type</b>");
    check("[`x`](https://a.b)", "<a href=\"https://a.b\">x</a>");
    check(
        "```rust\nlet a = **b**;\n\nc();\n```\nend",
        "<pre><code class=\"language-rust\">let a = **b**;\n\nc();</code></pre>\nend",
    );
    check("```\nplain <b>\n```", "<pre>plain &lt;b&gt;</pre>");
    check("~~~c++ title=\"x\"\nx\n~~~", "<pre><code class=\"language-c++\">x</code></pre>");
    check("```\"><b>\nx\n```", "<pre>\"&gt;&lt;b&gt;\nx</pre>");
    check("```what is this?\nx", "<pre>what is this?\nx</pre>");
    check("```so", "<pre><code class=\"language-so\">so</code></pre>");
    check("```rs,ignore\n```", "");
    check("```py\nstill growing", "<pre><code class=\"language-py\">still growing</code></pre>");
    check("```\n```", "");
    check("text\n```\n\n  a\n\n```", "text\n<pre>\n  a\n</pre>");
}

#[test]
fn quotes_are_one_level_deep() {
    check("> a\n> **b**\n>\n> c\n\nd", "<blockquote>a\n<b>b</b>\n\nc</blockquote>\n\nd");
    check("> a\n>> b", "<blockquote>a\nb</blockquote>");
    check("> a\n\n> b", "<blockquote>a</blockquote>\n\n<blockquote>b</blockquote>");
    check("> ```\n> x\n> ```", "<blockquote><pre>x</pre></blockquote>");
}

#[test]
fn lists_keep_their_numbers_and_levels() {
    check("Do:\n- a\n- **b**\n  - c\n\n\nend", "Do:\n• a\n• <b>b</b>\n  • c\n\nend");
    check("3. x\n4. y", "3. x\n4. y");
    check("1. a\n\n   more\n\n2. b", "1. a\n\nmore\n\n2. b");
    check("- [x] done\n- [ ] open", "• ☑ done\n• ☐ open");
    check("- a\n  ```sh\n  ls\n  ```\n- b", "• a\n<pre><code class=\"language-sh\">ls</code></pre>\n• b");
    check("    - a level that is cut off", "- a level that is cut off");
    check("-\n- a", "• \n• a");
}

#[test]
fn only_harmless_links_are_links() {
    for url in ["javascript:alert(1)", "file:///etc", "/local", "#top", "data:text/html,x"] {
        check(&format!("[x]({url})"), &format!("x ({url})"));
    }
    check("<https://a.b> <me@a.b>", "https://a.b me@a.b");
    check("![alt](https://a.b/c.png)", "<a href=\"https://a.b/c.png\">alt</a>");
    check("[![alt](https://a.b/c.png)](https://d.e)", "<a href=\"https://d.e\">alt</a>");
    check("[tg](tg://resolve) [m](mailto:a@b.c)", "<a href=\"tg://resolve\">tg</a> <a href=\"mailto:a@b.c\">m</a>");
    check("[](https://a.b) [](/c)", "<a href=\"https://a.b\">https://a.b</a> /c");
    let long = format!("[x](https://{})", "y".repeat(3_000));
    assert!(!format(&long).html.contains("<a"));
}

#[test]
fn definitions_of_links_are_not_lost() {
    check(
        "See [docs][1].\n\n[1]: https://a.b\n[2]: https://c.d",
        "See <a href=\"https://a.b\">docs</a>.\n\n[1]: https://a.b\n[2]: https://c.d",
    );
}

#[test]
fn tables_are_aligned_blocks() {
    check(
        "t:\n\n| Name | n |\n|:--|--:|\n| **añil** | 1 |\n| b & c | 230 |\n\nend",
        "t:\n\n<pre>Name     n\n──────────\nañil     1\nb &amp; c  230</pre>\n\nend",
    );
    let wide = format!("| a | b |\n|--|--|\n| {} | y |", "x".repeat(70));
    check(&wide, &format!("<pre>a | b\n{} | y</pre>", "x".repeat(70)));
    check("|日本|b|\n|-|-|\n|x|y|", "<pre>日本  b\n───────\nx     y</pre>");
}

#[test]
fn what_comes_after_a_hundred_entities_is_plain() {
    let many = "**a** ".repeat(300);
    let formatted = format(&many);
    assert_eq!(formatted.html.matches("<b>").count(), 100);
    assert_eq!(formatted.plain.trim(), "a ".repeat(300).trim());
    let (text, entities) = strict(&formatted.html).expect("whole");
    assert_eq!((text.as_str(), entities), (&*formatted.plain, 100));
}

#[test]
fn neither_form_shows_itself() {
    assert!(!format!("{:?}", format("**secret**")).contains("secret"));
}

/// Texts made of what breaks formatters.
pub(in crate::channels::telegram) fn nasty_markdown() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "~",
        "`",
        "``",
        "```",
        "```\n",
        "\n```\n",
        "\n```rust\n",
        "~~~\n",
        "\n",
        "\n\n",
        "> ",
        "\n> ",
        "\n>> ",
        "- ",
        "\n- ",
        "\n  - ",
        "\n    - ",
        "\n1. ",
        "# ",
        "\n## ",
        "| a | b |\n|---|---|\n",
        "| c |",
        "\n| d | *e* |\n",
        "[x](http://e.x)",
        "[y](javascript:a)",
        "[",
        "](",
        ")",
        "![i](https://a/b.png)",
        "<",
        ">",
        "&",
        "\"",
        "'",
        "\\",
        "<br>",
        "<b>",
        "</b>",
        "<a href=\"x\">",
        "&lt;",
        "&amp;",
        "&#0;",
        "<div>\n",
        "</pre>",
        "[1]: http://x\n",
        "word",
        "two words",
        "snake_case",
        "é",
        "e\u{301}",
        "👩‍👩‍👧",
        "🇫🇷",
        "日本語",
        " ",
        "  ",
        "    ",
        "\t",
        "\r\n",
        "\u{0}",
        "\u{7}",
        "---\n",
        "===\n",
        "- [x] ",
        "2*3*4",
        "https://a.b/c_d",
        "<https://a.b>",
        "$",
        "x. Y",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn html_is_always_whole_and_says_what_is_seen(markdown in nasty_markdown()) {
        let formatted = format(&markdown);
        let (text, entities) = strict(&formatted.html).map_err(TestCaseError::fail)?;
        prop_assert_eq!(text, &*formatted.plain);
        prop_assert!(entities <= 100);
    }

    #[test]
    fn any_characters_at_all(text in any::<String>()) {
        let formatted = format(&text);
        let (seen, _) = strict(&formatted.html).map_err(TestCaseError::fail)?;
        prop_assert_eq!(seen, &*formatted.plain);
    }

    #[test]
    fn words_are_never_lost(words in prop::collection::vec("[a-z]{1,8}", 1..30), marks in prop::collection::vec(
        prop::sample::select(vec![" ", "\n", "\n\n", " **", "** ", " *", "* ", "\n- ", "\n> ", " `", "` ", "\n# ", " ~~", "~~ "]), 30)
    ) {
        let mut markdown = String::new();
        for (word, mark) in words.iter().zip(&marks) {
            markdown.push_str(word);
            markdown.push_str(mark);
        }
        let seen: String = plain(&markdown).chars().filter(char::is_ascii_alphabetic).collect();
        prop_assert_eq!(seen, words.concat());
    }
}
