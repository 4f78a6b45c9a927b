"""A small bot of python-telegram-bot against the fake: it fails when that client cannot read an answer or an update,
or finds a field in them that it does not know.

Arguments: the URL of the fake, the token, the user who talks to the bot, the group. The words on both sides are in
`judge.rs`.
"""

import asyncio
import http.server
import io
import json
import sys
import threading

from telegram import (
    Bot, BotCommand, BotCommandScopeChat, InlineKeyboardButton, InlineKeyboardMarkup, TelegramObject, Update,
)
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError
from telegram.ext import Application, CallbackQueryHandler, ChatMemberHandler, CommandHandler, MessageHandler, filters

URL, TOKEN, USER, GROUP = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
KEYBOARD = InlineKeyboardMarkup([[InlineKeyboardButton("Today", callback_data="s1:p=1")]])
HTML = '<b>Hi</b> <pre><code class="language-rust">fn</code></pre> <blockquote expandable>more</blockquote>'
problems = []


def known(thing):
    """The same thing, every field of which the client knows."""
    if isinstance(thing, TelegramObject):
        if thing.api_kwargs:
            problems.append(f"{type(thing).__name__}: unknown {dict(thing.api_kwargs)}")
        for kind in type(thing).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if not name.startswith("_"):
                    known(getattr(thing, name, None))
    elif isinstance(thing, (list, tuple)):
        for each in thing:
            known(each)
    return thing


def check(what, is_so):
    if not is_so:
        problems.append(what)


async def refused(error, call):
    try:
        await call
        problems.append(f"expected {error.__name__}, and it was done")
    except error as raised:
        return raised
    except TelegramError as raised:
        problems.append(f"expected {error.__name__}, got {raised!r}")


def with_checks(handler):
    async def checked(update, context):
        try:
            known(update)
            await handler(update, context)
        except Exception as error:  # any is a failure of the fake
            problems.append(f"{handler.__name__}: {error!r}")
    return checked


async def start(update, context):
    language = update.effective_user.language_code
    known(await update.message.reply_html(f"{HTML} {language}", reply_markup=KEYBOARD))


async def pressed(update, context):
    query = update.callback_query
    check("the press names its message", query.message.reply_markup == KEYBOARD)
    await query.answer("noted")
    known(await query.edit_message_text(f"pressed {query.data}", reply_markup=KEYBOARD))
    await refused(BadRequest, query.edit_message_text(f"pressed {query.data}", reply_markup=KEYBOARD))
    known(await query.edit_message_reply_markup(None))


async def photo(update, context):
    file = known(await update.message.photo[-1].get_file())
    content = io.BytesIO()
    await file.download_to_memory(content)
    size = len(content.getvalue())
    sent = known(await update.message.reply_photo(content.getvalue(), caption=f"{size} bytes"))
    await context.bot.send_photo(USER, sent.photo[-1].file_id, caption=f"album {update.message.media_group_id}")


async def document(update, context):
    known(await update.message.reply_document(b"a,b\n", filename="stats.csv", caption=update.message.document.file_name))


async def edited(update, context):
    known(await update.edited_message.reply_text(f"edited to {update.edited_message.text}", do_quote=True))


async def text(update, context):
    known(await update.effective_chat.send_action("typing"))
    await context.bot.send_message_draft(USER, 7, "typing…")
    thread = update.message.message_thread_id
    known(await update.effective_chat.send_message(f"heard {update.message.text}", message_thread_id=thread))


async def joined(update, context):
    change = update.my_chat_member
    known(await context.bot.send_message(USER, f"{change.old_chat_member.status} to {change.new_chat_member.status}"))


async def stop(update, context):
    context.application.stop_running()


async def methods(bot):
    """What needs no update."""
    me = known(await bot.get_me())
    check("the bot is the token's", str(me.id) == TOKEN.split(":")[0])
    known(await bot.get_chat(USER))
    known(await bot.get_chat(GROUP))
    known(await bot.get_chat_member(GROUP, USER))
    commands = [BotCommand("stats", "numbers")]
    for language in [None, "es", "pt", "fr"]:
        await bot.set_my_commands(commands, language_code=language)
        check("commands stay", list(known(await bot.get_my_commands(language_code=language))) == commands)
    await bot.set_my_commands(commands, scope=BotCommandScopeChat(USER))
    known(await bot.get_webhook_info())
    known(await bot.send_message(USER, '<tg-time unix="1647531900" format="r">now</tg-time>', parse_mode="HTML"))
    sent = known(await bot.send_message(GROUP, "to be taken away"))
    await sent.delete()
    await refused(BadRequest, bot.send_message(USER, "<b>", parse_mode="HTML"))
    wait = await refused(RetryAfter, bot.send_message(USER, "too fast"))
    check("seconds to wait", wait is not None and int(getattr(wait.retry_after, "total_seconds", lambda: wait.retry_after)()) == 3)
    await refused(Forbidden, bot.send_message(USER, "blocked"))
    moved = await refused(ChatMigrated, bot.send_message(GROUP, "moved"))
    check("the new id", moved is not None and moved.new_chat_id == -1009)
    await refused(Conflict, bot.get_updates())
    try:
        await Bot("7000000001:wrong", base_url=f"{URL}/bot").initialize()
        problems.append("a wrong token opens")
    except InvalidToken:
        pass


async def webhook():
    """The same bot, with updates posted to it."""
    came = asyncio.Queue()
    loop = asyncio.get_running_loop()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            check("the secret", self.headers["X-Telegram-Bot-Api-Secret-Token"] == "s-1")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            loop.call_soon_threadsafe(came.put_nowait, json.loads(body))

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    async with Bot(TOKEN, base_url=f"{URL}/bot", base_file_url=f"{URL}/file/bot") as bot:
        await bot.set_webhook(f"http://127.0.0.1:{server.server_port}/", secret_token="s-1", allowed_updates=[])
        known(await bot.get_webhook_info())
        await bot.send_message(USER, "webhook is set")
        update = known(Update.de_json(await came.get(), bot))
        known(await update.message.reply_text(f"posted: {update.message.text}"))
        await bot.delete_webhook()
    server.shutdown()


def main():
    application = Application.builder().token(TOKEN).base_url(f"{URL}/bot").base_file_url(f"{URL}/file/bot").build()
    group_text = filters.TEXT & ~filters.COMMAND & filters.UpdateType.MESSAGE
    for handler in [
        CommandHandler("start", with_checks(start)),
        CommandHandler("stop", with_checks(stop)),
        CallbackQueryHandler(with_checks(pressed)),
        ChatMemberHandler(with_checks(joined), ChatMemberHandler.MY_CHAT_MEMBER),
        MessageHandler(filters.PHOTO, with_checks(photo)),
        MessageHandler(filters.Document.ALL, with_checks(document)),
        MessageHandler(filters.UpdateType.EDITED_MESSAGE, with_checks(edited)),
        MessageHandler(group_text, with_checks(text)),
    ]:
        application.add_handler(handler)
    application.post_init = lambda started: methods(started.bot)
    application.run_polling(allowed_updates=Update.ALL_TYPES, close_loop=True)
    asyncio.run(webhook())
    if problems:
        sys.exit("\n".join(problems))
    print("python-telegram-bot ok")


main()
