# Sourced by scripts/demo, scripts/test and scripts/check: the virtual environment and the system libraries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-python3}"
VENV="$PWD/.venv"

# What the wheels need from the system: EGL for off-screen rendering and for mediapipe, ffmpeg for filter graphs.
SYSTEM_PACKAGES="ffmpeg libegl1 libgl1 libgles2 libgl1-mesa-dri"

have_system_libraries() {
  command -v ffmpeg >/dev/null && "$PYTHON" - <<'PY'
import ctypes, sys
for name in ("libEGL.so.1", "libGL.so.1", "libGLESv2.so.2"):
    try:
        ctypes.CDLL(name)
    except OSError:
        sys.exit(1)
PY
}

install_system_libraries() {
  have_system_libraries && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing system libraries: $SYSTEM_PACKAGES"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $SYSTEM_PACKAGES >/dev/null
  else
    echo "missing system libraries; type: sudo apt-get install -y $SYSTEM_PACKAGES" >&2
    exit 1
  fi
}

install_python_packages() {
  local wanted
  wanted="$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)"
  if [ "$(cat "$VENV/.installed" 2>/dev/null)" = "$wanted" ]; then return; fi
  [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
  echo "installing the locked Python packages (a few minutes, once)"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$wanted" > "$VENV/.installed"
}

install_system_libraries
install_python_packages
export PATH="$VENV/bin:$PATH"
