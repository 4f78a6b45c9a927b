//! Budgets that admins set in the chat, as they hold while the program runs and after it is started again.

use super::bot::{Bot, root};
use super::budgets::{bot_with, holds, told};
use super::{Chat, Person};

fn people(bot: &Bot) -> [(Chat, [&'static str; 2], &'static str); 4] {
    [
        (301, "en", ["/budget user:301 1 request day", "/budget user:301 +1"], "Limit reached"),
        (
            302,
            "es",
            ["/presupuesto usuario:302 1 solicitud al día", "/presupuesto usuario:302 sube 1"],
            "Límite alcanzado",
        ),
        (303, "pt", ["/orçamento usuário:303 1 pedido por dia", "/orçamento usuário:303 aumenta 1"], "Limite atingido"),
        (
            304,
            "fr",
            ["/budget utilisateur:304 1 requête par jour", "/budget utilisateur:304 augmente de 1"],
            "Limite atteinte",
        ),
    ]
    .map(|(id, code, words, refused)| (bot.fake.private(&Person::new(id, "Somebody").speaking(code)), words, refused))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_sets_holds_and_what_is_raised_is_answered_in_four_languages() {
    let bot = bot_with("").await;
    let app = bot.start().await;
    let root = bot.fake.private(&root().speaking("en"));
    for (chat, [set, raise], refused) in people(&bot) {
        holds(&told(&root, set).await, &["no limit → 1"]);
        holds(&told(&chat, "one").await, &["Here you are."]);
        holds(&told(&chat, "two").await, &[refused, "/budget"]);
        holds(&told(&chat, "/budget").await, &["1/1"]);
        holds(&told(&root, raise).await, &["1 → 2"]);
        holds(&told(&chat, "three").await, &["Here you are."]);
        holds(&told(&chat, "four").await, &[refused]);
    }
    assert_eq!(app.stop().code(), Some(0));
    let _app = bot.start().await;
    for (chat, _, refused) in people(&bot) {
        holds(&told(&chat, "still not").await, &[refused]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_money_is_spent_stopped_paused_and_taken_back() {
    let price = "[[prices]]\nmodel = \"m\"\ninput = \"0\"\noutput = \"1\"\n";
    let bot = bot_with(price).await;
    let _app = bot.start().await;
    let root = bot.fake.private(&root().speaking("en"));
    let ana = bot.chat();
    holds(&told(&root, "/budget provider:cloud $1 day").await, &["no limit → $1.00"]);
    holds(&told(&ana, "one").await, &["Here you are."]);
    holds(&told(&root, "/budget provider:cloud").await, &["provider:cloud", "$1.00", "left", "resets at 00:00"]);
    holds(&told(&root, "/budget provider:cloud stop").await, &["stopped"]);
    holds(&told(&ana, "two").await, &["stopped"]);
    holds(&told(&root, "/budget provider:cloud go").await, &["holds again"]);
    holds(&told(&ana, "three").await, &["Here you are."]);
    holds(&told(&root, "/budget provider:cloud $0 day").await, &["$1.00 → $0", "used up already"]);
    holds(&told(&ana, "four").await, &["$0"]);
    holds(&told(&root, "/budget provider:cloud pause").await, &["keeps nobody away"]);
    holds(&told(&ana, "five").await, &["Here you are."]);
    holds(&told(&root, "/budget provider:cloud resume").await, &["holds again"]);
    holds(&told(&root, "/budget provider:cloud unlimited day").await, &["no limit"]);
    holds(&told(&ana, "six").await, &["Here you are."]);
    holds(&told(&root, "/budget provider:cloud remove").await, &["no limit → no limit"]);
}
