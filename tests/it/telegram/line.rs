//! At a limit a question waits in line: its place is told where the answer will grow, and the button takes it out.

use super::bot::{Bot, config, until};
use super::{FakeApi, Person};
use crate::providers::{ScriptedProvider, openai};
use crate::running::Home;

/// Two questions with their reserve fit into the limit of a minute, a third only when one of them has ended.
const LIMITS: &str = "limits = { tokens_per_minute = 2200 }\n[telegram]";

#[tokio::test(flavor = "multi_thread")]
async fn the_third_question_is_told_its_place_and_then_answered() {
    let fake = FakeApi::start().await;
    let answer = openai::chat(&["Here is ", "the answer."], 20, 5);
    let model = ScriptedProvider::start(openai::polite(&["m"], answer.hold_before(0))).await;
    let users = [111, 333, 444, 555];
    let config = config(&fake.url(), &model.url(), "")
        .replace("users = [111]", &format!("users = {users:?}"))
        .replace("[telegram]", LIMITS)
        + "[chat]\nmax_output_tokens = 1000\n";
    let home =
        Home::new(&config).with_env("TELOXIDE_TOKEN", FakeApi::TOKEN).with_env("KEY", "sk-0123456789-0123456789");
    let bot = Bot { fake, model, home };
    let _app = bot.start().await;
    let [first, second, third, fourth] = users.map(|id| bot.fake.private(&Person::new(id, "Somebody")));
    for (chat, hits) in [(&first, 1), (&second, 2)] {
        chat.says("and?");
        until(|| bot.model.hits().len() == hits).await;
    }
    third.says("me too?");
    let place = third.sees("You are next in line. Next safe call: ").await;
    fourth.says("and me?");
    fourth.sees("You are 2nd in line. Next safe call: ").await;
    assert_eq!(bot.model.hits().len(), 2, "nothing is sent before its turn");
    fourth.press("⏹ Stop");
    fourth.sees("Cancelled").await;
    bot.model.release();
    let answered = third.sees("Here is the answer.").await;
    assert_eq!(answered.id, place.id, "the answer takes the place of what was said of the line");
    until(|| bot.statuses().len() == 4).await;
    let mut statuses = bot.statuses();
    statuses.sort_unstable();
    assert_eq!(statuses, ["ok", "ok", "ok", "refused"], "who left the line was asked for and never answered");
}
