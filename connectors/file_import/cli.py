"""`vitals import`."""

import click


@click.command("import")
@click.argument("file", type=click.Path())
@click.option("-m", "--mapping", required=True, type=click.Path(), help="YAML file that says what the columns mean.")
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "jsonl", "parquet"]), help="Where the extension does not tell."
)
@click.option("--dry-run", is_flag=True, help="Read and check the file; write nothing.")
@click.option("--abandon", is_flag=True, help="Give up an import that was killed, so that it holds no watermark back.")
def import_file(file: str, mapping: str, file_format: str | None, dry_run: bool, abandon: bool) -> None:
    """Imports the events in FILE (CSV, JSONL or Parquet). Ctrl-C stops after a page; run it again to go on."""
    from connectors.file_import.command import run_import

    run_import(file, mapping, file_format, dry_run=dry_run, abandon=abandon)


commands = [import_file]
