#!/usr/bin/env bash
# Plants known bugs, one at a time, and expects the tests named in each patch to fail.
#
#   run.sh [--target FOLDER] [NN ...]   plants those, or all of them
#   run.sh --check                      only looks whether all patches still apply
#
# A patch begins with two kinds of comments: `# what: ...` says what is wrong, and each
# `# caught by: PACKAGE TARGET FILTER` names tests (target `lib` or the name of a test target). They
# must pass without the bug and fail with it. What does not compile, is stuck, or finds nothing to
# run catches nothing. The bugs are planted in a worktree of HEAD, which is removed in the end; what
# was compiled stays in the target folder, with the last words of every test.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/planted
target=${CARGO_TARGET_DIR:-$root/target}/planted
# Seconds that named tests may take before they count as stuck.
patience=300

check=
wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=yes ;;
    --target) target=$2; shift ;;
    [0-9][0-9]) wanted+=("$1") ;;
    *) echo "usage: $0 [--check] [--target FOLDER] [NN ...]" >&2; exit 64 ;;
  esac
  shift
done

patches=()
if [ ${#wanted[@]} -eq 0 ]; then
  patches=("$here"/[0-9][0-9]-*.patch)
else
  for number in "${wanted[@]}"; do
    found=("$here/$number"-*.patch)
    [ -f "${found[0]}" ] || { echo "there is no bug $number" >&2; exit 64; }
    patches+=("${found[@]}")
  done
fi

# What a patch names: lines of package, target, filter.
named() { sed -n 's/^# caught by: *//p' "$1"; }

if [ -n "$check" ]; then
  bad=0
  for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    grep -q '^# what: ' "$patch" && named "$patch" | grep -Eq '^[a-z]+ [a-z]+ [a-z0-9_:]+$' ||
      { echo "$name: does not say what is wrong, or which test finds it" >&2; bad=1; }
    git -C "$root" apply --check "$patch" || { echo "$name: does not apply" >&2; bad=1; }
  done
  [ "$bad" -eq 0 ] && echo "${#patches[@]} patches apply"
  exit "$bad"
fi

mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target CARGO_NET_OFFLINE=true
# Always the same place, so that what was compiled there is found again.
tree=$target/tree
log=$target/last.log
leave() { git -C "$root" worktree remove --force "$tree" 2>/dev/null || true; }
trap leave EXIT
trap 'exit 130' INT TERM
leave
git -C "$root" worktree prune
git -C "$root" worktree add --quiet --detach "$tree" HEAD

# Arguments of cargo for a target.
which_target() { if [ "$1" = lib ]; then echo --lib; else echo "--test $1"; fi; }

# Runs a command of cargo in the worktree, without input; what it says is in the log.
run_cargo() { (cd "$tree" && "$@") </dev/null >"$log" 2>&1; }

# Builds the tests that a patch names.
build() {
  local package place filter
  while read -r package place filter; do
    # shellcheck disable=SC2046
    run_cargo cargo test --locked -p "$package" $(which_target "$place") --no-run || return 1
  done < <(named "$1")
}

# What comes of tests: green, red, stuck, skipped, none, or an end that is no verdict.
outcome() {
  local package=$1 place=$2 filter=$3 code=0
  # shellcheck disable=SC2046
  run_cargo timeout -k 5 "$patience" cargo test --locked -p "$package" $(which_target "$place") \
    -- --nocapture "$filter" || code=$?
  if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then echo stuck
  elif grep -Eq '^test result: FAILED|SIGABRT|SIGSEGV|SIGBUS' "$log" && [ "$code" -ne 0 ]; then echo red
  elif [ "$code" -ne 0 ]; then echo "ended with $code"
  elif grep -q SKIPPED "$log"; then echo skipped
  elif grep -Eq '^test result: ok\. [1-9]' "$log"; then echo green
  else echo none
  fi
}

# Runs the tests that a patch names; says `as expected`, or what the first one did instead.
try() {
  local expected=$2 package place filter came
  while read -r package place filter; do
    came=$(outcome "$package" "$place" "$filter")
    if [ "$came" != "$expected" ]; then echo "$came: $filter"; return; fi
  done < <(named "$1")
  echo "as expected"
}

failed=0
say() { printf '%-36s %s\n' "$1" "$2"; }
fail() { say "$1" "$2"; cp "$log" "$target/$1.log"; failed=1; }

# First all of them without a bug: then each bug costs one build.
sound=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  if ! build "$patch"; then fail "$name" "NOT TRIED: does not compile without the bug"; continue; fi
  before=$(try "$patch" green)
  case $before in
    "as expected") sound+=("$patch") ;;
    skipped:*) say "$name" "skipped: something that the test needs is missing" ;;
    *) fail "$name" "NOT TRIED: without the bug $before" ;;
  esac
done
printf '%d bugs to plant, %d s\n' "${#sound[@]}" "$SECONDS"

for patch in "${sound[@]}"; do
  name=$(basename "$patch" .patch)
  begun=$SECONDS
  if ! git -C "$tree" apply "$patch"; then fail "$name" "DOES NOT APPLY"; continue; fi
  if ! build "$patch"; then
    fail "$name" "DOES NOT COMPILE: see $target/$name.log"
  else
    built=$((SECONDS - begun))
    after=$(try "$patch" red)
    took="$built s to build, $((SECONDS - begun - built)) s to run"
    cp "$log" "$target/$name.log"
    if [ "$after" = "as expected" ]; then
      say "$name" "caught by $(named "$patch" | awk '{print $NF}' | paste -sd' ') ($took)"
    else
      fail "$name" "SURVIVED: $after ($took)"
    fi
  fi
  git -C "$tree" checkout --quiet -- .
  git -C "$tree" clean --quiet -fd
done
exit "$failed"
