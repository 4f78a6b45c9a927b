//! The filters, as tables: every row is one value in the four languages. `·` stands for U+00A0, `_` for U+202F.

use super::*;

fn check(expected: [&str; 4], show: impl Fn(Lang) -> String) {
    for (lang, expected) in Lang::ALL.into_iter().zip(expected) {
        let shown = show(lang).replace(NBSP, "·").replace(NARROW, "_");
        assert_eq!(shown, expected, "in {lang}");
    }
}

#[test]
fn whole_numbers() {
    let table: [(i128, [&str; 4]); 5] = [
        (0, ["0", "0", "0", "0"]),
        (1000, ["1,000", "1000", "1.000", "1_000"]),
        (45_230, ["45,230", "45_230", "45.230", "45_230"]),
        (1_234_567, ["1,234,567", "1_234_567", "1.234.567", "1_234_567"]),
        (-45_230, ["-45,230", "-45_230", "-45.230", "-45_230"]),
    ];
    for (value, expected) in table {
        check(expected, |lang| number(lang, value, Place::Text));
    }
    check(["45,230", "45·230", "45.230", "45·230"], |lang| number(lang, 45_230, Place::Column));
    check(
        [
            "18,446,744,073,709,551,615",
            "18_446_744_073_709_551_615",
            "18.446.744.073.709.551.615",
            "18_446_744_073_709_551_615",
        ],
        |lang| number(lang, i128::from(u64::MAX), Place::Text),
    );
}

#[test]
fn shares_are_never_flattered() {
    let table: [(f64, [&str; 4]); 6] = [
        (0.988, ["98.8%", "98,8·%", "98,8%", "98,8_%"]),
        (1.0, ["100%", "100·%", "100%", "100_%"]),
        (0.99999, ["99.9%", "99,9·%", "99,9%", "99,9_%"]),
        (0.00001, ["0.1%", "0,1·%", "0,1%", "0,1_%"]),
        (0.0, ["0%", "0·%", "0%", "0_%"]),
        (1.647, ["164.7%", "164,7·%", "164,7%", "164,7_%"]),
    ];
    for (share, expected) in table {
        check(expected, |lang| percent(lang, share));
    }
}

#[test]
fn money_to_the_cent() {
    let table = [
        ("0", ["$0", "0·US$", "US$·0", "0·$US"]),
        ("0.41", ["$0.41", "0,41·US$", "US$·0,41", "0,41·$US"]),
        ("5.78025", ["$5.78", "5,78·US$", "US$·5,78", "5,78·$US"]),
        ("0.005", ["<·$0.01", "<·0,01·US$", "<·US$·0,01", "<·0,01·$US"]),
        ("0.000000000001", ["<·$0.01", "<·0,01·US$", "<·US$·0,01", "<·0,01·$US"]),
        ("12345.678", ["$12,345.68", "12_345,68·US$", "US$·12.345,68", "12_345,68·$US"]),
        ("-0.41", ["-$0.41", "-0,41·US$", "-US$·0,41", "-0,41·$US"]),
    ];
    for (usd, expected) in table {
        check(expected, |lang| money(lang, usd, Precision::Cents).expect("a decimal"));
    }
    for nonsense in ["", "1,5", "NaN", "1e3", "0.0000000000001"] {
        assert_eq!(money(Lang::En, nonsense, Precision::Cents), None, "{nonsense}");
    }
}

#[test]
fn money_to_two_leading_digits() {
    let table = [
        ("1.5", "$1.50"),
        ("0.41", "$0.41"),
        ("0.0125", "$0.013"),
        ("0.00034", "$0.00034"),
        ("0.00695", "$0.007"),
        ("0.0999", "$0.10"),
        ("0.0000034", "$0.000003"),
        ("0.0000000375", "<·$0.000001"),
    ];
    for (usd, expected) in table {
        let shown = money(Lang::En, usd, Precision::Fine).expect("a decimal").replace(NBSP, "·");
        assert_eq!(shown, expected);
    }
}

#[test]
fn spans_and_latencies() {
    let two_days = 2 * 86_400 + 5 * 3600 + 34 * 60 + 59;
    check(["2d·5h·34m", "2·d·5·h·34·min", "2·d·5·h·34·min", "2·j·5·h·34·min"], |lang| {
        duration(lang, two_days)
    });
    check(["45s", "45·s", "45·s", "45·s"], |lang| duration(lang, 45));
    check(["1h", "1·h", "1·h", "1·h"], |lang| duration(lang, 3600));
    check(["1d·0h·1m", "1·d·0·h·1·min", "1·d·0·h·1·min", "1·j·0·h·1·min"], |lang| {
        duration(lang, 86_460)
    });
    check(["7·h", "7·h", "7·h", "7·h"], |lang| about(lang, 6 * 3600 + 60));
    check(["3·d", "3·d", "3·d", "3·j"], |lang| about(lang, 2 * 86_400 + 1));
    check(["<·1·ms", "<·1·ms", "<·1·ms", "<·1·ms"], |lang| latency(lang, 0));
    check(["450·ms", "450·ms", "450·ms", "450·ms"], |lang| latency(lang, 450));
    check(["1.8·s", "1,8·s", "1,8·s", "1,8·s"], |lang| latency(lang, 1849));
    check(["1m", "1·min", "1·min", "1·min"], |lang| latency(lang, 59_960));
    check(["2m·5s", "2·min·5·s", "2·min·5·s", "2·min·5·s"], |lang| latency(lang, 125_000));
}

#[test]
fn sizes_are_rounded_down_so_that_no_room_is_promised() {
    check(["0·B", "0·B", "0·B", "0·o"], |lang| bytes(lang, 0));
    check(["999·B", "999·B", "999·B", "999·o"], |lang| bytes(lang, 999));
    check(["12.4·GB", "12,4·GB", "12,4·GB", "12,4·Go"], |lang| bytes(lang, 12_499_999_999));
    check(["2·TB", "2·TB", "2·TB", "2·To"], |lang| bytes(lang, 2_000_000_000_000));
    check(["18.4·EB", "18,4·EB", "18,4·EB", "18,4·Eo"], |lang| bytes(lang, u64::MAX));
}

#[test]
fn a_bar_is_honest_at_both_ends() {
    let table = [
        (0, 150, "░░░░"),
        (1, 150, "▓░░░"),
        (75, 150, "▓▓░░"),
        (149, 150, "▓▓▓░"),
        (150, 150, "▓▓▓▓"),
        (9, 0, "▓▓▓▓"),
        (0, 0, "▓▓▓▓"),
    ];
    for (used, max, expected) in table {
        assert_eq!(bar(used, max, 4), expected, "{used}/{max}");
    }
}
