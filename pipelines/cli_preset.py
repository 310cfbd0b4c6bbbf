"""`magictalk preset ...`: the settings of a workspace, which every run in it uses, whoever starts it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
import yaml

from pipelines.console import show_facts, show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["preset_app"]

preset_app = typer.Typer(
    help="The workspace's settings, for every run in it, whoever starts it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@preset_app.command("set")
def preset_set(
    preset: Annotated[str, typer.Argument(help="sample, base, own_face, paper, or the path of a YAML file")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a preset the workspace's. Its values are stored, so the file may move or change without a consequence.

    The next run, from the command line, Dagster or `dvc repro`, brings up to date what reads a changed setting.

    Example: magictalk preset set mine.yaml
    """
    from magictalk_core.presets.of_workspace import set_preset
    from magictalk_core.presets.preset import load_preset
    from magictalk_core.storage.locks import held_or_refused

    load_preset(preset)  # a wrong one is refused before a folder is made
    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        change = set_preset(workspace, preset)
    if as_json:
        changed = [{"setting": name, "before": a, "after": b} for name, (a, b) in change.settings.items()]
        facts = {"name": change.name, "digest": change.digest, "name_before": change.name_before}
        typer.echo(json.dumps([facts | {"digest_before": change.digest_before, "changed": changed}], indent=1))
    else:
        typer.echo(change.line())


@preset_app.command("show")
def preset_show(
    values: Annotated[bool, typer.Option("--values", help="every setting with its value, as YAML")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Name and digest of the workspace's preset: they stand in the provenance record of everything it made.

    Example: magictalk preset show --values
    """
    from magictalk_core.errors import UserError
    from magictalk_core.presets.of_workspace import preset_digest
    from magictalk_core.presets.preset import load_preset

    workspace = workspace_of(home)
    if not workspace.preset.is_file():
        raise UserError(f"{workspace.home} has no preset yet: type `magictalk preset set sample`")
    preset = load_preset(workspace.preset)
    if values and not as_json:
        typer.echo(yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False), nl=False)
        return
    facts = {"name": preset.name, "digest": preset_digest(preset), "file": workspace.preset}
    show_facts(facts | ({"values": preset.model_dump(mode="json")} if values else {}), as_json)


@preset_app.command("diff")
def preset_diff(
    other: Annotated[str, typer.Argument(help="a preset, a YAML file, or a snapshot")] = "sample",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The settings in which the workspace's preset differs from another: a shipped one, a file, or a snapshot's.

    Example: magictalk preset diff HEAD~1
    """
    from magictalk_core.lineage.snapshots import preset_of_snapshot
    from magictalk_core.presets.of_workspace import preset_differences, preset_of
    from magictalk_core.presets.preset import is_preset, load_preset

    workspace = workspace_of(home)
    found = load_preset(other) if is_preset(other) else preset_of_snapshot(workspace, other)
    changed = preset_differences(found, preset_of(workspace))
    rows = [{"setting": name, other: before, "workspace": after} for name, (before, after) in changed.items()]
    show_rows(rows, ["setting", other, "workspace"], as_json)
    if not rows and not as_json:
        typer.echo(f"no setting differs from {other}", err=True)
