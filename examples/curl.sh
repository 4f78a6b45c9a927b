#!/bin/sh
# Calls through tallybot's gateway, by hand. GATEWAY, KEY and MODEL as yours are:
#   GATEWAY=http://127.0.0.1:5000/gateway/cloud KEY=tb-… MODEL=gpt-4o sh curl.sh
set -eu

echo '-- one answer; -i shows what it used and cost, in the headers x-tallybot-…'
curl -sS -i "$GATEWAY/v1/chat/completions" \
  -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -H 'x-feature: examples' -H 'x-user: ana' \
  -d "{\"model\":\"$MODEL\",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}"

echo; echo '-- a stream, as it comes'
curl -sS -N "$GATEWAY/v1/chat/completions" \
  -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -d "{\"model\":\"$MODEL\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Say it again.\"}]}"

echo '-- the models of the provider'
curl -sS "$GATEWAY/v1/models" -H "Authorization: Bearer $KEY"
