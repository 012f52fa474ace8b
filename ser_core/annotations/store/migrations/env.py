"""Run by Alembic to bring a database up to date, within the transaction that `database.py` began."""

from alembic import context


def run_migrations() -> None:
    """Run the migrations that the database lacks; SQLite too rolls them back with their transaction."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    context.run_migrations()


if __name__ == "env_py":  # Alembic's name for this module; any other import must not migrate
    run_migrations()
