#!/usr/bin/env bash
# Plants known bugs, one at a time, and expects the tests named in each patch to fail.
#
#   run.sh [--target FOLDER] [NN ...]   plants those, or all of them
#   run.sh --check                      only looks whether all patches still apply
#
# A patch begins with two kinds of comments: `# what: ...` says what is wrong, and each
# `# caught by: PACKAGE TARGET FILTER` names tests (target `lib` or the name of a test target). They
# are run once as they are, must pass, and once with the bug, must fail. What does not compile, runs
# for too long or finds nothing to run catches nothing. The bugs are planted in a worktree of HEAD,
# which is removed in the end; what was compiled stays in the target folder.
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
which_target() { if [ "$1" = lib ]; then echo --lib; else echo --test "$1"; fi; }

# Builds the named tests; their output is in the log.
build() {
  local package place filter
  while read -r package place filter; do
    # shellcheck disable=SC2046
    (cd "$tree" && cargo test --locked -p "$package" $(which_target "$place") --no-run) \
      </dev/null >>"$log" 2>&1 || return 1
  done < <(named "$1")
}

# Runs the named tests one after the other; says `as expected`, or what the first one did instead.
try() {
  local expected=$2 package place filter code outcome
  while read -r package place filter; do
    code=0
    # shellcheck disable=SC2046
    (cd "$tree" && timeout -k 5 "$patience" cargo test --locked -p "$package" \
      $(which_target "$place") -- --nocapture "$filter") </dev/null >"$log" 2>&1 || code=$?
    case $code in
      0) outcome=green ;;
      124 | 137) outcome=stuck ;;
      *) outcome=red ;;
    esac
    if [ "$outcome" = green ]; then
      if grep -q SKIPPED "$log"; then outcome=skipped; fi
      if ! grep -Eq '^test result: ok\. [1-9]' "$log"; then outcome=none; fi
    fi
    if [ "$outcome" != "$expected" ]; then echo "$outcome: $filter"; return; fi
  done < <(named "$1")
  echo "as expected"
}

failed=0
say() { printf '%-34s %s\n' "$1" "$2"; }
fail() { say "$1" "$2"; failed=1; }

for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  begun=$SECONDS
  : >"$log"
  if ! build "$patch"; then fail "$name" "NOT TRIED: does not compile without the bug"; continue; fi
  before=$(try "$patch" green)
  case $before in
    "as expected") ;;
    skipped:*) say "$name" "skipped: something that the test needs is missing"; continue ;;
    *) fail "$name" "NOT TRIED: without the bug $before"; cp "$log" "$target/$name.log"; continue ;;
  esac
  if ! git -C "$tree" apply "$patch"; then fail "$name" "DOES NOT APPLY"; continue; fi
  : >"$log"
  if build "$patch"; then
    after=$(try "$patch" red)
    took=$((SECONDS - begun))
    cp "$log" "$target/$name.log"
    if [ "$after" = "as expected" ]; then
      say "$name" "caught by $(named "$patch" | awk '{print $NF}' | paste -sd' ') ($took s)"
    else
      fail "$name" "SURVIVED: $after ($took s)"
    fi
  else
    fail "$name" "DOES NOT COMPILE: see $log"
    cp "$log" "$target/$name.log"
  fi
  git -C "$tree" checkout --quiet -- .
  git -C "$tree" clean --quiet -fd
done
exit "$failed"
