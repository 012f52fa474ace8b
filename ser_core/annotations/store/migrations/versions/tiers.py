"""Projects have tiers, of intervals or points; a mark may be a point."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

A_STRETCH = "start_s >= 0 AND start_s <= end_s"


def upgrade() -> None:
    """Add the table, with a tier for each that marks name, and let marks have no length."""
    op.create_table(
        "tiers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("colour", sa.Text),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("project_id", "key", name="one_tier_per_key"),
    )
    _tiers_of_marks()
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("a_stretch", "marks", type_="check")
        op.create_check_constraint("a_stretch", "marks", A_STRETCH)
    else:
        _rebuild_marks()


def _tiers_of_marks() -> None:
    connection = op.get_bind()
    found = {row.id: {"emotion": True} for row in connection.execute(sa.text("SELECT id FROM projects"))}
    columns = "r.project_id, m.tier, MAX(CASE WHEN m.emotion IS NULL THEN 0 ELSE 1 END) AS says_emotions"
    named = f"SELECT {columns} FROM marks m JOIN recordings r ON r.id = m.recording_id WHERE m.tier <> 'recording'"
    for row in connection.execute(sa.text(f"{named} GROUP BY r.project_id, m.tier ORDER BY r.project_id, m.tier")):
        # A recording in the trash was moved out of its project, which has its tiers.
        project_query = sa.text("SELECT COALESCE(of_project, id) FROM projects WHERE id = :id")
        project = connection.execute(project_query, {"id": row.project_id}).scalar_one()
        has_emotions = found.setdefault(project, {"emotion": True})
        has_emotions[row.tier] = bool(has_emotions.get(row.tier) or row.says_emotions)
    insert = sa.text(
        "INSERT INTO tiers (project_id, key, name, position, kind, content, labels, shown) "
        "VALUES (:project, :key, :key, :position, 'intervals', :content, '[]', :shown)"
    )
    for project, has_emotions in found.items():
        for position, (key, says_emotions) in enumerate(has_emotions.items()):
            content = "emotions" if says_emotions else "text"
            row = {"project": project, "key": key, "position": position, "content": content, "shown": True}
            connection.execute(insert, row)


def _rebuild_marks() -> None:
    """Make the table again: SQLite cannot change a condition of one."""
    connection = op.get_bind()
    made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'marks'"))
    indices = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'marks'"))
    statements = [statement for statement in indices.scalars() if statement]
    table = made.scalar_one().replace("start_s >= 0 AND start_s < end_s", A_STRETCH)
    connection.exec_driver_sql(table.replace("CREATE TABLE marks", "CREATE TABLE new_marks", 1))
    connection.exec_driver_sql("INSERT INTO new_marks SELECT * FROM marks")
    connection.exec_driver_sql("DROP TABLE marks")
    connection.exec_driver_sql("ALTER TABLE new_marks RENAME TO marks")
    for statement in statements:
        connection.exec_driver_sql(statement)
