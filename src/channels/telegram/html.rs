//! Texts of ours, which are HTML already: what is seen of them, for when Telegram refuses the HTML.

use super::format::Formatted;

/// A text in Telegram's HTML in both forms in which it can be sent.
pub(super) fn of(html: &str) -> Formatted {
    Formatted { html: html.trim().into(), plain: plain(html).trim().into() }
}

/// A text without its tags. Our own texts are escaped and every tag is closed, so there is nothing to guess.
pub(super) fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
    }
    text.push_str(rest);
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_of_a_text_is_it_without_tags() {
        let html = "<b>Raymundo</b> &amp; 1 &lt; 2\n<pre>a  b</pre> <a href=\"https://x.y/?a&amp;b\">link</a> &amp;lt;";
        assert_eq!(plain(html), "Raymundo & 1 < 2\na  b link &lt;");
        assert_eq!(plain("no end <b"), "no end ");
        assert_eq!(&*of("\n<b>x</b>\n").plain, "x");
    }
}
