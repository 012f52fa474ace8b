"""What Alembic runs to bring a database up to date, within the transaction that `database.py` has begun."""

from alembic import context


def run_migrations() -> None:
    """Run those that the database has not had; SQLite too takes them back with their transaction."""
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    context.run_migrations()


if __name__ == "env_py":  # Alembic's name for it; whoever else imports it wants no migration
    run_migrations()
