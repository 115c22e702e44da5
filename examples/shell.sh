#!/usr/bin/env bash
# The shell in three commands. They run offline with the local model (make demo fetches it); with another model
# that llm knows, give its name:
#
#     examples/shell.sh               # rlm-local
#     examples/shell.sh rlm-glm-4.7
set -euo pipefail
cd "$(dirname "$0")"
model=${1:-rlm-local}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
text=$folder/town.txt
python3 make_haystack.py "$text"
question='What is the combination of the observatory safe?'

echo '# A text on stdin'
llm -m "$model" < "$text" "$question"

echo '# A file as an attachment: best for big ones, for llm need not log it'
llm -m "$model" -a "$text" "$question"

echo '# Several files at once, each under its name; only the answer, not the steps, and the tokens that it took'
llm -m "$model" -R -u -f "rlm:$text" -f rlm:make_haystack.py "$question"
