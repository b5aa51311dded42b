#!/usr/bin/env bash
# Renews docs/figures/: each figure of the documentation by the command that stands beside it there. Offline, a few minutes.
#
#   scripts/make_docs_figures.sh                   # all of them
#   scripts/make_docs_figures.sh scores matched    # some
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
wanted=("$@")

# figure NAME PICTURE COMMAND...: docs/figures/NAME.webp is figures/PICTURE.png of the run
figure() {
    local name=$1 picture=$2
    shift 2
    if ((${#wanted[@]})) && [[ ! " ${wanted[*]} " == *" $name "* ]]; then return; fi
    local command="$*"
    local run="runs/${command//[^[:alnum:]]/_}"
    [[ -d $run ]] || "$@" "hydra.run.dir=$run"
    python - "$run/figures/$picture.png" "$root/docs/figures/$name.webp" <<'PYTHON'
import sys

from PIL import Image

with Image.open(sys.argv[1]) as figure:
    figure.thumbnail((1600, 1600), Image.Resampling.LANCZOS)
    figure.convert("RGB").save(sys.argv[2], quality=90, method=6)
PYTHON
}

# the photographs of the tutorial, by the Python that stands in it
sed -n '/^```python$/,/^```$/{/^```/d;p}' "$root/docs/tutorials/photographs.md" | python -

figure translation translation semrsm translate
figure scores scores semrsm retrieve
figure consistency consistency semrsm cka n_images=24
figure neighbours neighbours_1 semrsm retrieve dataset=folder dataset.root=my_photographs
figure matched matched_1 semrsm retrieve dataset=folder dataset.root=my_photographs
