#!/usr/bin/env bash
# Every table and figure of the paper, in its order. Data sets lie in $SEMRSM_DATA: imagenet/, tiny-imagenet-200/,
# cifar-100-python/, egoobjects/, cityscapes/. The 27 networks of Figures 5, 6 and 15 to 17 and of Table 5 are trained first,
# which takes days on a GPU.
#
#   scripts/reproduce_paper.sh                             # everything
#   scripts/reproduce_paper.sh table2 table3               # some of it
#   OVERRIDES="runtime.device=cuda" scripts/reproduce_paper.sh
#   OVERRIDES_table2="seed=0" scripts/reproduce_paper.sh table2     # for one step alone, after those for all
#   JOBS=2 scripts/reproduce_paper.sh                      # so many steps at once; they share what is in the store
#
# Steps: train_cifar100 train_tiny_imagenet train_imagenet figure2 table1 figures5_and_6 figure7 table2 table3 table4
# table5 figure15 figure16_cifar100 figure16_tiny_imagenet figure16_imagenet figure17 sensitivity_egoobjects
# sensitivity_cityscapes sensitivity_imagenet baselines
#
# Runs go to outputs/paper/ (OUT= to choose), the joined tables with the paper's numbers to outputs/paper/report/. What
# fails is named at the end, and the rest runs nevertheless; begun again, a run goes on from what is in the store.
set -o pipefail

out=${OUT:-outputs/paper}
wanted=("$@")
jobs=${JOBS:-1}
steps=()
failures=$(mktemp) # a name a line, in whatever order they end
trap 'rm -f "$failures"' EXIT
trap 'trap "" TERM; kill 0; exit 130' INT # what runs at once does not hear of it otherwise

# run NAME TASK [SETTING]...: one run, or with `sweep` in place of `run` all jobs of an experiment
run() { launch "$1" "$2" "hydra.run.dir=$out/$1" "${@:3}"; }
sweep() { launch "$1" "$2" --multirun "hydra.sweep.dir=$out/$1" "${@:3}"; }

# attempt NAME TASK [SETTING]...: run it, and write down its name if it fails
attempt() { semrsm "${@:2}" || echo "$1" >>"$failures"; }

launch() {
    local name=$1 task=$2 own=OVERRIDES_$1 overrides
    if ((${#wanted[@]})) && [[ ! " ${wanted[*]} " == *" $name "* ]]; then return; fi
    read -ra overrides <<<"${OVERRIDES:-} ${!own:-}"
    while (($(jobs -pr | wc -l) >= jobs)); do sleep 0.1; done
    echo "== $name: semrsm $task ${*:3}"
    steps+=("$name")
    if ((jobs > 1)); then
        attempt "$name" "$task" "${@:3}" "${overrides[@]}" &
    else
        attempt "$name" "$task" "${@:3}" "${overrides[@]}"
    fi
}

for images in cifar100 tiny_imagenet imagenet; do # three networks, three seeds each, to outputs/train/
    launch "train_$images" train experiment=train_networks "dataset=$images" "recipe=$images"
done
wait # what follows reads these networks
run figure2 translate experiment=translate_fig2
sweep table1 correlate experiment=correlate_table1
run figures5_and_6 bench experiment=bench_fig5
run figure7 translate experiment=translate_fig7
sweep table2 retrieve experiment=retrieve_table2 # with Figures 3, 4 and 8 to 14
sweep table3 retrieve experiment=retrieve_table3
sweep table4 correlate experiment=correlate_table4
run table5 bench experiment=bench_table5
sweep figure15 cka experiment=cka_fig15
sweep figure16_cifar100 cka experiment=cka_fig16 dataset=cifar100 matching=optimal
sweep figure16_tiny_imagenet cka experiment=cka_fig16 dataset=tiny_imagenet
sweep figure16_imagenet cka experiment=cka_fig16 dataset=imagenet
sweep figure17 cka experiment=cka_fig17

# how much each choice that the paper leaves open moves Tables 1, 2 and 3
sweep sensitivity_egoobjects retrieve experiment=retrieve_sensitivity
sweep sensitivity_cityscapes retrieve experiment=retrieve_sensitivity dataset=cityscapes \
    choice=unchanged,class_set_official30,class_set_all34
sweep sensitivity_imagenet correlate experiment=correlate_sensitivity

# what is simpler than matching, on the images of Table 2
sweep baselines retrieve experiment=retrieve_baselines

wait
if [[ -d $out ]]; then # training alone leaves nothing there
    echo "== report: semrsm report runs=$out"
    steps+=(report)
    attempt report report "runs=$out" "hydra.run.dir=$out/report"
fi

failed=()
for name in "${steps[@]}"; do
    if grep -qx "$name" "$failures"; then failed+=("$name"); fi
done
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
