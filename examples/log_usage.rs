//! Records the calls of a program that talks to models itself: `cargo run --example log_usage [FOLDER]`.
//!
//! `tallybot stats --data-dir FOLDER` shows them, and a tallybot that is running on the folder counts them at once.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tallybot::app::log_tokens;
use tallybot::service::items::UsageItem;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "data".to_owned());
    let flash = |prompt, completion| UsageItem::tokens(prompt, completion).api("gemini").model("gemini-2.5-flash");
    for call in [
        flash(150, 320),
        flash(200, 450).metadata("article_id", 123)?.latency_ms(2450),
        flash(250, 500).model("gemini-2.5-flash-lite"),
        flash(100, 0).error("429 Quota excedida"),
    ] {
        let logged = log_tokens(&folder, call)?;
        println!("{}", logged.text());
    }
    Ok(())
}
