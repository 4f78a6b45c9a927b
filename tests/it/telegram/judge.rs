//! python-telegram-bot as the judge.
