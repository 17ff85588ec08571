"""The commands `vitals api` and `vitals users`."""

import click


@click.command("api")
def api() -> None:
    """Serves the REST API, the websocket and the dashboard."""
    from api.serving import serve

    serve()


@click.group("users")
def users() -> None:
    """Adds local users and lets them in."""


@users.command("add")
@click.argument("email")
@click.option("--role", default="viewer", show_default=True, help="viewer, csm, manager, engineer or admin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of generating it.")
def add(email: str, role: str, password_stdin: bool) -> None:
    """Adds a user and prints the generated password, which is kept nowhere else."""
    from api.auth.users import add_user, normalized
    from vitals.settings import load_settings

    password = click.get_text_stream("stdin").readline().rstrip("\r\n") if password_stdin else None
    made = add_user(load_settings().postgres_dsn.get_secret_value(), email, role, password)
    click.echo(f"Added {normalized(email)} as {role}.")
    if password is None:
        click.echo(f"Password: {made}")


@users.command("one-time-link")
@click.argument("email")
def one_time_link(email: str) -> None:
    """Prints a link that signs EMAIL in once, within 24 hours."""
    from api.auth.one_time import link
    from api.auth.users import one_time_token
    from vitals.settings import load_settings

    settings = load_settings()
    token = one_time_token(settings.postgres_dsn.get_secret_value(), email)
    click.echo(link(settings.public_url or f"http://{settings.host}:{settings.api_port}", token))


commands: list[click.Command] = [api, users]
