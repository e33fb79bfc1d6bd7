# Sourced by the scripts beside it: `setup_venv EXTRAS` puts evotune and what it needs
# into .venv, once, and again only when pyproject.toml or constraints.txt has changed.
# Afterwards $PY is the interpreter to run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
ROOT=$PWD
PY=$ROOT/.venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1

# A clone of the working tree must not pick up somebody else's packages.
unset PYTHONPATH PYTHONHOME

find_python() {
    # Runs each candidate: a name on PATH may be a shim of a version that is not there.
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "evotune needs Python 3.11, 3.12 or 3.13, and none was found on PATH." >&2
    echo "Name one with: PYTHON=/path/to/python3.12 $0" >&2
    return 1
}

make_venv() {
    local base
    base=$(find_python) || return 1
    echo "Making .venv with $("$base" --version)"
    # Debian's python3 comes without ensurepip; its pip can install into the venv.
    "$base" -m venv --clear .venv 2>/dev/null && "$PY" -m pip --version >/dev/null 2>&1 && return
    "$base" -m venv --clear --without-pip .venv || return 1
    "$base" -m pip --python "$PY" install -qq pip
}

setup_venv() {
    local extras=$1 stamp=.venv/evotune-setup.txt wanted started=$SECONDS
    wanted="$(cat pyproject.toml constraints.txt | cksum) $ROOT"
    if [ -f "$stamp" ] && "$PY" -c '' 2>/dev/null; then
        # "all,dev" holds every other set.
        case "$(cat "$stamp")" in
        "$wanted $extras" | "$wanted all,dev") return ;;
        esac
    fi
    "$PY" -c '' 2>/dev/null || make_venv || return 1
    echo "Installing evotune[$extras] into .venv (a minute or two, only this once)"
    rm -f "$stamp"
    # Errors are shown; what pip warns of along the way helps nobody here.
    "$PY" -m pip install -qq --editable ".[$extras]" --constraint constraints.txt ||
        return 1
    echo "$wanted $extras" >"$stamp"
    echo "Installed in $((SECONDS - started)) s"
}
