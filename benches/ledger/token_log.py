"""A token log's way to record a call: append its line, then read, change and write token_stats.json.

token_log.py FOLDER SECONDS DAYS: begins with the statistics of DAYS days, ten models each; prints records per second
and the median and 99th percentile of a record in microseconds.
"""

import json
import sys
import time
from pathlib import Path

folder, seconds, days = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
log, stats_file = folder / "tokens_2026-11-22.jsonl", folder / "token_stats.json"
FIELDS = ["total_prompt_tokens", "total_completion_tokens", "total_tokens"]
COUNTS = ["total_requests", "successful_requests", "failed_requests"]


def record(n):
    """What its log_tokens writes."""
    entry = {
        "timestamp": "2026-11-22T08:00:00.000000-06:00",
        "api_type": "gemini",
        "model": f"gemini-model-{n % 10}",
        "api_key_suffix": "a1b2",
        "prompt_tokens": 150,
        "completion_tokens": 320,
        "total_tokens": 470,
        "success": True,
        "error_message": None,
        "metadata": {"latency_ms": 2450, "request_type": "chat", "channel": "telegram"},
    }
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    with stats_file.open(encoding="utf-8") as file:
        stats = json.load(file)
    model = stats[f"day-{days - 1}"][entry["model"]]
    for field, value in zip(FIELDS, (150, 320, 470)):
        model[field] += value
    model["total_requests"] += 1
    model["successful_requests"] += 1
    with stats_file.open("w", encoding="utf-8") as file:
        json.dump(stats, file, indent=2, ensure_ascii=False)


model = {field: 123456 for field in FIELDS} | {count: 123 for count in COUNTS}
stats = {f"day-{day}": {f"gemini-model-{n}": model for n in range(10)} for day in range(days)}
stats_file.write_text(json.dumps(stats, indent=2))
micros = []
began = last = time.perf_counter()
while last - began < seconds:
    record(len(micros))
    now = time.perf_counter()
    micros.append((now - last) * 1e6)
    last = now
rate = len(micros) / (last - began)
micros.sort()
print(rate, micros[len(micros) // 2], micros[len(micros) * 99 // 100])
