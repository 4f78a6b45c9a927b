//! The laws of markup: it is always whole, and no text can be taken for it.

use minijinja::context;
use proptest::prelude::*;

use super::*;

fn shown(surface: Surface, template: &str, value: &str) -> String {
    let mut env = Environment::new();
    add_filters(&mut env, surface);
    written(surface, env.render_str(template, context! { x => value }).expect("a good template"))
}

#[test]
fn each_surface_has_its_form() {
    let table = [
        ("{{ x|bold }}!", ["a<b!", "<b>a&lt;b</b>!", "*a<b*!"]),
        ("{{ x|italic }}", ["a<b", "<i>a&lt;b</i>", "_a<b_"]),
        ("{{ x|code }}", ["`a<b`", "<code>a&lt;b</code>", "`a<b`"]),
        ("{{ x|copy }}", ["a<b", "<code>a&lt;b</code>", "a<b"]),
        (
            "{% filter mono %}\n1 {{ x }}\n2\n{% endfilter %}.",
            ["\n1 a<b\n2\n.", "<pre>1 a&lt;b\n2</pre>\n.", "```1 a<b\n2```\n."],
        ),
        (
            "{% filter fold %}{{ x|bold }}\n{% endfilter %}",
            ["a<b\n", "<blockquote expandable><b>a&lt;b</b></blockquote>\n", "*a<b*\n"],
        ),
        (
            "R&D <i>{{ (x ~ \"\\nc \")|bold }}",
            ["R&D <i>a<b\nc ", "R&amp;D &lt;i&gt;<b>a&lt;b\nc </b>", "R&D <i>*a<b*\n*c* "],
        ),
    ];
    for (template, expected) in table {
        for (surface, expected) in Surface::ALL.into_iter().zip(expected) {
            assert_eq!(shown(surface, template, "a<b"), expected, "{surface}: {template}");
        }
    }
}

#[test]
fn nothing_is_not_marked() {
    for surface in Surface::ALL {
        for filter in ["bold", "italic", "code", "copy", "mono", "fold"] {
            assert_eq!(shown(surface, &format!("{{{{ x|{filter} }}}}"), ""), "", "{surface} {filter}");
        }
    }
}

#[test]
fn code_holds_no_other_markup_and_no_quote_holds_a_quote() {
    let fold = "{% filter fold %}a{% filter fold %}b{% endfilter %}c{% endfilter %}";
    assert_eq!(shown(Surface::Telegram, fold, "").matches("<blockquote expandable>").count(), 1);
    assert_eq!(shown(Surface::Telegram, "{{ x|bold|code }}", "y"), "<code>y</code>");
    assert_eq!(shown(Surface::Telegram, "{{ x|code|bold }}", "y"), "<b>y</b>");
}

#[test]
fn whatsapps_own_marks_in_a_text_do_nothing() {
    let table = [
        ("user:*", "user:∗"),
        ("*all*", "∗all∗"),
        ("/reset_stats", "/reset_stats"),
        ("_x_", "ˍxˍ"),
        ("~9 · ~$0.25", "~9 · ~$0.25"),
        ("~old~", "~old∼"),
        ("`rm`", "'rm'"),
    ];
    for (text, expected) in table {
        assert_eq!(shown(Surface::WhatsApp, "{{ x }}", text), expected);
    }
}

proptest! {
    #[test]
    fn whatever_the_marks_the_html_is_whole(text in "[\u{fdd0}-\u{fdef}a<>& \n]{0,60}") {
        let html = written(Surface::Telegram, text.clone());
        prop_assert!(super::super::tests::is_whole_html(&html), "{html}");
        prop_assert!(!html.contains(is_mark) && !written(Surface::WhatsApp, text).contains(is_mark));
    }
}
