//! Long answers of every kind, whole and piece by piece.

use proptest::prelude::*;

use super::*;
use crate::channels::telegram::format::tests::{nasty_markdown, strict};

/// The parts of a text cut near so many code points.
fn parts(markdown: &str, aim: usize) -> Vec<String> {
    let mut parts = Parts::sized(aim, aim + aim / 12);
    parts.push(markdown);
    parts.finish().into_iter().map(PrivateText::into_string).collect()
}

/// What nobody may lose: cuts may take away white space and marks.
fn essence(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The source without what is no text for a reader: a language without code, a break.
fn seen(source: &str) -> String {
    source.replace("```rust", "```").replace("<br>", "\n")
}

/// Every part fits, and the source can be read off them in its order.
#[track_caller]
fn assert_whole(source: &str, parts: &[String], max_length: usize) {
    for part in parts {
        let formatted = format::format(part);
        assert!(formatted.length() <= max_length, "{} of {max_length}: {part:?}", formatted.length());
        assert!(!formatted.plain.trim().is_empty(), "an empty message: {part:?}");
        strict(&formatted.html).expect("whole HTML");
    }
    let all = essence(&parts.concat());
    let mut left = all.iter();
    for (index, c) in essence(source).into_iter().enumerate() {
        assert!(left.any(|there| *there == c), "lost {c:?} ({index}) of {source:?} in {parts:?}");
    }
}

#[test]
fn what_fits_is_one_message() {
    assert_eq!(parts("short **text**", 100), ["short **text**"]);
    assert!(parts(" \n\n", 100).is_empty() && split("```\n```").is_empty());
    let links = "[x](https://a.b/c?d=e) ".repeat(1_000);
    assert_eq!(split(&links).len(), 1, "2,000 code points are seen of 23,000");
}

#[test]
fn cuts_are_where_a_reader_would_make_them() {
    let paragraphs = format!("{}\n\n{}", "one two. ".repeat(5).trim(), "three four. ".repeat(4).trim());
    assert_eq!(parts(&paragraphs, 60).len(), 2);
    assert_eq!(parts(&paragraphs, 60)[1], "three four. ".repeat(4).trim());
    let lines = format!("{}\n{}", "a b. ".repeat(8).trim(), "c d. ".repeat(8).trim());
    assert_eq!(parts(&lines, 60), lines.split('\n').collect::<Vec<_>>());
    assert_eq!(parts("First it was so. Then it was not", 24), ["First it was so.", " Then it was not"]);
    assert_eq!(parts("一二三四五六七。八九十百千万億", 10), ["一二三四五六七。", "八九十百千万億"]);
    assert_eq!(parts("first second third", 14), ["first second", "third"]);
    assert_eq!(parts(&"x".repeat(25), 10), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
    let items = "- one two three\n- four five\n- six seven eight\n";
    assert_eq!(parts(items, 34), ["- one two three\n- four five", "- six seven eight\n"]);
    let heading = "Some words that go before.\n\n## Title\n\nSome words that go behind.";
    assert_eq!(parts(heading, 50), ["Some words that go before.", "## Title\n\nSome words that go behind."]);
}

#[test]
fn a_cut_fence_is_closed_and_opened_again_with_its_language() {
    let code = format!("Look:\n\n```rust\n{}```\n\nDone.", "let a = 1;\n".repeat(12));
    let parts = parts(&code, 80);
    assert!(parts.len() > 1);
    for part in &parts {
        assert_eq!(part.matches("```").count() % 2, 0, "{part:?}");
        assert!(part.contains("```rust\nlet a") && !part.contains("\n\n```\n\n"), "{part:?}");
    }
    assert!(parts[parts.len() - 1].ends_with("```\n\nDone."));
    assert_eq!(parts.concat().matches("let a = 1;\n").count(), 12);
}

#[test]
fn code_in_a_list_keeps_its_shape() {
    let code = format!("1. Run:\n   ~~~~sh\n{}   ~~~~\n2. Done", "     echo\n".repeat(10));
    let parts = parts(&code, 50);
    assert!(parts.len() > 1);
    assert!(parts[1].starts_with("~~~~sh\n  echo\n"), "{parts:?}");
    let last = format::plain(&parts[parts.len() - 1]);
    assert!(last.ends_with("  echo\n2. Done") || &*last == "2. Done", "{parts:?}");
}

#[test]
fn what_stands_behind_a_fence_is_not_lost() {
    let source = "```js and:so on=and on=and so:forth=ever on\nx\n```";
    let parts = parts(source, 24);
    assert_whole(source, &parts, 26);
}

#[test]
fn no_cut_goes_through_a_character() {
    for cluster in ["👩‍👩‍👧", "e\u{301}", "🇫🇷", "각"] {
        let long = cluster.repeat(50);
        for part in parts(&long, 11) {
            assert_eq!(part.replace(cluster, ""), "", "{part:?}");
        }
    }
    let one = format!("e{}", "\u{301}".repeat(10_000));
    assert_whole(&one, &split(&one).into_iter().map(PrivateText::into_string).collect::<Vec<_>>(), MAX_LENGTH);
}

#[test]
fn a_book_is_cut_in_linear_time() {
    let book = "It was the best of times, it was the **worst** of times.\n".repeat(2_000);
    let parts: Vec<String> = split(&book).into_iter().map(PrivateText::into_string).collect();
    assert!((27..33).contains(&parts.len()), "{}", parts.len());
    assert!(parts.iter().all(|part| format::plain(part).chars().count() <= AIM));
}

#[test]
fn a_stream_rolls_on_and_what_is_complete_stays() {
    let answer = format!("{}\n```py\n{}```\nend", "Some words here. ".repeat(300), "print(1)\n".repeat(900));
    let mut parts = Parts::new();
    let mut seen: Vec<PrivateText> = Vec::new();
    for piece in answer.as_bytes().chunks(97) {
        parts.push(std::str::from_utf8(piece).expect("ASCII"));
        assert_eq!(parts.complete()[..seen.len()], seen[..]);
        seen = parts.complete().to_vec();
        if let Some(growing) = parts.growing() {
            assert!(format::plain(&growing).chars().count() <= AIM);
        }
    }
    let all: Vec<String> = parts.finish().into_iter().map(PrivateText::into_string).collect();
    assert!(all.len() > 3);
    assert_whole(&answer, &all, AIM);
    assert_eq!(all.concat().matches("print(1)").count(), 900);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_everything_fits(pieces in prop::collection::vec(nasty_markdown(), 1..6), aim in 24usize..200) {
        let source = seen(&pieces.concat());
        assert_whole(&source, &parts(&source, aim), aim + aim / 12);
    }

    #[test]
    fn pieces_of_a_stream_lose_nothing_either(
        source in nasty_markdown(), aim in 24usize..100, sizes in prop::collection::vec(1usize..9, 1..9)
    ) {
        let source = seen(&source);
        let mut parts = Parts::sized(aim, aim + aim / 12);
        let chars: Vec<char> = source.chars().collect();
        let (mut at, mut sizes, mut complete) = (0, sizes.iter().cycle(), Vec::<PrivateText>::new());
        while at < chars.len() {
            let end = (at + sizes.next().copied().unwrap_or(1)).min(chars.len());
            parts.push(&chars[at..end].iter().collect::<String>());
            prop_assert_eq!(&parts.complete()[..complete.len()], &complete[..]);
            complete = parts.complete().to_vec();
            at = end;
        }
        let all: Vec<String> = parts.finish().into_iter().map(PrivateText::into_string).collect();
        assert_whole(&source, &all, aim + aim / 12);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn words_come_out_in_their_order(count in 1usize..400, aim in 30usize..300, style in 0usize..5) {
        let word = |n: usize| match style {
            0 => format!("w{n} "),
            1 => format!("**w{n}**, "),
            2 => format!("- w{n}\n"),
            3 => format!("w{n}.\n\n"),
            _ => format!("`w{n}`\n"),
        };
        let fence = if count.is_multiple_of(3) { "```js\n" } else { "" };
        let source = format!("{fence}{}", (0..count).map(word).collect::<String>());
        let all = parts(&source, aim).iter().map(|part| format::plain(part).into_string()).collect::<Vec<_>>().join("\n");
        let words: Vec<&str> = all.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let expected: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
        prop_assert_eq!(words, expected);
    }
}

#[test]
fn no_text_takes_long() {
    let depth = 3_000;
    for text in
        [">", "[", "*a ", "- ", "`a``", "> - ", "![", "[a](", "<", "_a", "|", "~~a", "**a", "\n    ", "&", "1. "]
    {
        let text = text.repeat(depth);
        assert_whole(&text, &split(&text).into_iter().map(PrivateText::into_string).collect::<Vec<_>>(), MAX_LENGTH);
    }
}
