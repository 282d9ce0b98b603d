<%!
    def without_remarks(code):
        return "\n".join(line for line in code.splitlines() if "# ### " not in line).strip()
%><%
    lines = sorted(imports.splitlines()) if imports else []
    imported = [line for line in lines if line.startswith(("import ", "from "))]
    types = [line for line in lines if line not in imported]
%>"""${message}."""

import sqlalchemy as sa
from alembic import op
${"\n".join(imported)}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}

${"\n".join(types)}


def upgrade() -> None:
    ${without_remarks(upgrades) if upgrades else "pass"}


def downgrade() -> None:
    ${without_remarks(downgrades) if downgrades else "pass"}
