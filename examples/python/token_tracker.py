"""Keeps count of model calls in tallybot, for programs that call their models themselves.

It has the names, arguments and results of two older trackers, so that a program changes only its import:

    from token_tracker import log_tokens, get_tracker                 # one log for all calls
    from token_tracker import TokenTracker, get_global_tracker        # one session, by agent

Only the standard library is needed. Nothing here raises, and nothing here waits longer than TIMEOUT_SECS for tallybot:
what cannot be delivered now is kept in a file and delivered later, each call once. Texts of errors are reduced to a
status or a class; prompts and answers are never looked at, and of keys the last four characters leave the program.

A program that calls its models through tallybot's gateway needs none of this: its calls are counted there, and would be
counted twice.

Environment: TALLYBOT_URL (http://127.0.0.1:5000), TALLYBOT_ADMIN_TOKEN if tallybot has one, TALLYBOT_UNSENT
(logs/tokens/unsent.jsonl).
"""

import glob
import json
import logging
import os
import re
import threading
import time
import uuid
from datetime import datetime
from decimal import Decimal
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT_SECS = 2
PAUSE_SECS = 10  # after a failure, before tallybot is asked again
MAX_UNSENT_BYTES = 10 * 1024 * 1024
MAX_ITEMS = 1_000  # of one request
SOURCE = "token_tracker"  # whose ids these are: by both a call counts once, delivered or imported from a file of this

log = logging.getLogger("token_tracker")


# --- one log for all calls ---------------------------------------------------------------------------------------------


def log_tokens(
    prompt_tokens=0,
    completion_tokens=0,
    api_type="gemini",
    model="unknown",
    api_key_suffix=None,
    success=True,
    error_message=None,
    metadata=None,
):
    """Records one call."""
    item = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "api_type": api_type,
        "model": model,
        "api_key_suffix": str(api_key_suffix)[-4:] if api_key_suffix else None,
        "success": success,
        "error_message": None if success else _class_of(error_message),
        "metadata": metadata or {},
    }
    _outbox.record(_call(item))


def get_tracker():
    """What all calls add up to; always the same object."""
    return _books


class Books:
    """Everything that tallybot has recorded, by API and model."""

    def get_summary(self):
        """{api: {model: {total_prompt_tokens, …}}}; empty while tallybot cannot be asked. `last_updated` is when it was."""
        summary = {}
        for row in _rows("provider,model"):
            summary.setdefault(row["provider"], {})[row["model"]] = {
                "total_prompt_tokens": row["prompt_tokens"],
                "total_completion_tokens": row["completion_tokens"],
                "total_tokens": row["total_tokens"],
                "total_requests": row["requests"],
                "successful_requests": row["ok"],
                "failed_requests": row["failed"],
                "last_updated": datetime.now().isoformat(),
            }
        return summary

    def print_summary(self):
        models = [row for api in self.get_summary().values() for row in api.values()]
        if not models:
            print("📊 Nenhuma requisição, ou o tallybot não responde.")
            return
        total = {key: sum(row[key] for row in models) for key in models[0] if key != "last_updated"}
        print(f"📥 Tokens de Entrada (Prompts): {total['total_prompt_tokens']:,}")
        print(f"📤 Tokens de Saída (Respostas): {total['total_completion_tokens']:,}")
        print(f"✅ Total de Tokens: {total['total_tokens']:,}")
        print(f"📋 Total de Requisições: {total['total_requests']:,}")
        print(f"✔️  Bem-sucedidas: {total['successful_requests']:,}")
        print(f"❌ Falhadas: {total['failed_requests']:,}")


def print_summary():
    """Prints what all calls add up to."""
    _books.print_summary()


# --- one session, by agent ---------------------------------------------------------------------------------------------


class TokenTracker:
    """The calls of one session: recorded in tallybot, and summed here by agent."""

    def __init__(self, output_dir="outputs/token_tracking"):
        self.output_dir = output_dir
        self._began = datetime.now()
        self._calls = []
        self._lock = threading.Lock()

    def track_response(self, response, agent_name="unknown", operation="unknown", model=None):
        """Records the answer of an OpenAI, Anthropic or Gemini client."""
        model = model or getattr(response, "model", None) or "unknown"
        item = _call({"model": model, "agent": agent_name, "operation": operation, **_usage_of(response)})
        record = _outbox.record(item) or {}
        tokens_in, tokens_out = item.get("prompt_tokens") or 0, item.get("completion_tokens") or 0
        call = {
            "id": item["id"],
            "source": item["source"],
            "timestamp": datetime.now().isoformat(timespec="seconds"),
            "api_type": item["api_type"],
            "agent_name": agent_name,
            "operation": operation,
            "model": model,
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "cost_usd": _number(record.get("cost_usd")),  # None while it is not known, which is not 0
        }
        with self._lock:
            self._calls.append(call)

    def report(self):
        """The session as save_report() writes it."""
        with self._lock:
            calls = list(self._calls)
        by_agent = {}
        for call in calls:
            agent = by_agent.setdefault(call["agent_name"], {"calls": 0, "total_tokens": 0, "total_cost": 0})
            agent["calls"] += 1
            agent["total_tokens"] += call["total_tokens"]
        for name, agent in by_agent.items():
            agent["total_cost"] = _sum(call["cost_usd"] for call in calls if call["agent_name"] == name)
        return {
            "session_start": self._began.isoformat(timespec="seconds"),
            "total_calls": len(calls),
            "total_input_tokens": sum(call["input_tokens"] for call in calls),
            "total_output_tokens": sum(call["output_tokens"] for call in calls),
            "total_tokens": sum(call["total_tokens"] for call in calls),
            "total_cost": _sum(call["cost_usd"] for call in calls),
            "calls_by_agent": by_agent,
            "calls_detail": calls,
        }

    def save_report(self):
        """Writes the report as JSON and returns its path."""
        os.makedirs(self.output_dir, exist_ok=True)
        path = os.path.join(self.output_dir, f"token_report_{self._began:%Y%m%d_%H%M%S}_{os.getpid()}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.report(), file, ensure_ascii=False, indent=2)
        return path

    def print_summary(self):
        report = self.report()
        unpriced = sum(call["cost_usd"] is None for call in report["calls_detail"])
        print("=" * 70 + "\n📊 RÉSUMÉ DES TOKENS & COÛTS\n" + "=" * 70)
        print(f"🕐 Session démarrée: {report['session_start']}")
        print(f"📞 Nombre d'appels API: {report['total_calls']}")
        print(f"🔤 Tokens totaux: {report['total_tokens']:,}")
        print(f"   ├─ Input:  {report['total_input_tokens']:,}")
        print(f"   └─ Output: {report['total_output_tokens']:,}")
        print(f"💰 Coût total: ${report['total_cost']:.4f}" + (f" (+ {unpriced} sans prix connu)" if unpriced else ""))
        print("\n📊 Détails par agent:")
        for name, agent in report["calls_by_agent"].items():
            print(f"   • {name}:\n     ├─ Appels: {agent['calls']}\n     ├─ Tokens: {agent['total_tokens']:,}")
            print(f"     └─ Coût: ${agent['total_cost']:.4f}")
        print("=" * 70)


def get_global_tracker():
    """One tracker for the whole program; always the same object."""
    return _session


def _usage_of(response):
    """What a client's answer says it used. Without that, nothing is known: tallybot does not take it for zero."""
    found = {"api_type": "openai"}
    usage = getattr(response, "usage_metadata", None)
    if usage is not None:
        thoughts = getattr(usage, "thoughts_token_count", None)
        completion = getattr(usage, "candidates_token_count", None)
        found["api_type"] = "gemini"
        found["prompt_tokens"] = getattr(usage, "prompt_token_count", None)
        found["completion_tokens"] = completion if thoughts is None else (completion or 0) + thoughts
        found["cached_tokens"] = getattr(usage, "cached_content_token_count", None)
        found["reasoning_tokens"] = thoughts
        return _known(found)
    usage = getattr(response, "usage", None)

    def first(*names):
        return next((found for found in (getattr(usage, name, None) for name in names) if found is not None), None)

    found["prompt_tokens"] = first("input_tokens", "prompt_tokens")
    found["completion_tokens"] = first("output_tokens", "completion_tokens")
    read, written = first("cache_read_input_tokens"), first("cache_creation_input_tokens")
    if hasattr(usage, "cache_read_input_tokens"):  # Anthropic counts its cache beside the input
        found["api_type"] = "anthropic"
        if found["prompt_tokens"] is not None:
            found["prompt_tokens"] += (read or 0) + (written or 0)
        found["cached_tokens"], found["cache_write_tokens"] = read, written
    else:
        details = first("input_tokens_details", "prompt_tokens_details")
        found["cached_tokens"] = getattr(details, "cached_tokens", None)
        details = first("output_tokens_details", "completion_tokens_details")
        found["reasoning_tokens"] = getattr(details, "reasoning_tokens", None)
    return _known(found)


def _known(found):
    return {key: value for key, value in found.items() if value is not None}


def _number(text):
    return None if text is None else float(Decimal(text))


def _sum(costs):
    return float(sum((Decimal(str(cost)) for cost in costs if cost is not None), Decimal(0)))


# --- to tallybot and back ----------------------------------------------------------------------------------------------


def _call(item):
    return {"id": str(uuid.uuid4()), "source": SOURCE, "timestamp": datetime.now().astimezone().isoformat(), **item}


def _class_of(error):
    """Of the text of an error only a status or a class: the rest may hold anything."""
    text = str(error or "").lower()
    status = re.search(r"\b[45]\d\d\b", text)
    if status:
        return status.group()
    classes = {"timed out": "timeout", "timeout": "timeout", "refused": "connection refused", "quota": "429"}
    return next((name for words, name in classes.items() if words in text), "other")


class Outbox:
    """Delivers records, and keeps those that cannot be delivered yet."""

    def __init__(self):
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def record(self, item):
        """Delivers one record and returns what tallybot made of it; None when it is kept for later."""
        try:
            with self._lock:
                return self._deliver(item)
        except Exception as error:  # whatever it is, the program goes on
            log.warning("a call is not recorded: %s", type(error).__name__)
            return None

    def _deliver(self, item):
        if time.monotonic() < self._paused_until:
            return self._keep(item)
        answer = self._post(json.dumps(item).encode(), "application/json")
        if answer is None:
            return self._keep(item)
        self._deliver_kept()
        return answer.get("record")

    def _post(self, body, kind):
        """What tallybot answers; None when the same may be taken later."""
        try:
            answer = _ask("POST", "/v1/usage", body, kind)
            for rejected in answer.get("rejected", []):
                log.warning("tallybot does not take a record: %s", rejected.get("error"))
            return answer
        except HTTPError as error:
            text = error.read(500).decode(errors="replace")
            if error.code == 400:
                log.warning("tallybot does not take this: %s", text)
                return {}
            log.warning("tallybot answers %s, calls are kept in %s: %s", error.code, _unsent(), text)
        except (OSError, ValueError):
            pass
        self._paused_until = time.monotonic() + PAUSE_SECS
        return None

    def _keep(self, item):
        path = _unsent()
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > MAX_UNSENT_BYTES:
            log.warning("a call is not recorded: %s is full; is tallybot running?", path)
            return None
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, (json.dumps(item) + "\n").encode())
        finally:
            os.close(file)
        return None

    def _deliver_kept(self):
        """Each file has one name while it is written to and another while it is delivered. Delivered twice, its records
        still count once, by their ids."""
        path = _unsent()
        if os.path.exists(path):
            os.replace(path, f"{path}.{uuid.uuid4()}")
        for claimed in glob.glob(glob.escape(path) + ".*"):
            with open(claimed, "rb") as file:
                lines = [line for line in file.read().split(b"\n") if _is_json(line)]
            batches = [lines[start : start + MAX_ITEMS] for start in range(0, len(lines), MAX_ITEMS)]
            if any(self._post(b"\n".join(batch), "application/x-ndjson") is None for batch in batches):
                return
            os.remove(claimed)


def _is_json(line):
    try:
        return bool(line) and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unsent():
    return os.environ.get("TALLYBOT_UNSENT", os.path.join("logs", "tokens", "unsent.jsonl"))


def _ask(method, path, body=None, kind=None):
    url = os.environ.get("TALLYBOT_URL", "http://127.0.0.1:5000").rstrip("/")
    headers = {"Content-Type": kind} if kind else {}
    if token := os.environ.get("TALLYBOT_ADMIN_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    with _opener.open(Request(url + path, body, headers, method=method), timeout=TIMEOUT_SECS) as answer:
        return json.load(answer)


def _rows(group):
    """All rows of GET /v1/usage, page by page."""
    rows, cursor = [], ""
    try:
        while True:
            page = _ask("GET", f"/v1/usage?group={group}&limit=1000{cursor}")
            rows += page["rows"]
            if not page["next"]:
                return rows
            cursor = "&cursor=" + quote(page["next"], safe="")
    except (OSError, ValueError) as error:
        log.warning("tallybot cannot be asked: %s", type(error).__name__)
        return []


_opener = build_opener(ProxyHandler({}))  # straight to tallybot, whatever proxy the environment names
_outbox, _books, _session = Outbox(), Books(), TokenTracker()
