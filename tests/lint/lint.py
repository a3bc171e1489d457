"""What the checks of this folder share: the files of the tree, a report, lists of exceptions."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "lint"


def tree():
    """Every file that is, or would be, under version control."""
    out = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if out.returncode == 0:
        names = [n for n in out.stdout.decode().split("\0") if n]
        found = [ROOT / n for n in names]
    else:  # an unpacked archive
        skip = {".git", "build", "data", "target", "node_modules", "__pycache__", ".pytest_cache"}
        found = [p for p in ROOT.rglob("*") if not skip & set(p.relative_to(ROOT).parts)]
    return sorted(p for p in found if p.is_file())


def sources(folder, *suffixes):
    top = ROOT / folder
    return [p for p in tree() if top in p.parents and p.suffix in suffixes]


def lines_of(path):
    return enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)


class Report:
    """Prints each fault as FILE:LINE: text, and one line at the end."""

    def __init__(self, name):
        self.name = name
        self.faults = 0

    def fault(self, path, line, text):
        where = path.relative_to(ROOT) if path.is_absolute() else path
        print(f"{where}:{line}: {text}" if line else f"{where}: {text}")
        self.faults += 1

    def done(self):
        print(f"lint {self.name}: {'ok' if not self.faults else f'{self.faults} faults'}")
        return 1 if self.faults else 0


def exceptions(name, report):
    """A list of `thing  reason` lines; a line without a reason is a fault."""
    path = HERE / name
    found = {}
    for n, line in lines_of(path):
        if not line.strip() or line.startswith("#"):
            continue
        thing, _, reason = line.strip().partition(" ")
        if not reason.strip():
            report.fault(path, n, f"{thing} needs a reason")
        if thing in found:
            report.fault(path, n, f"{thing} stands here twice")
        found[thing] = n
    return found
