"""What a comparison tells: its page, its table, and the evidence that the reports of runs show."""

from easearch.comparing.telling.evidence import write_evidence
from easearch.comparing.telling.page import table_of, write_page

__all__ = ["table_of", "write_evidence", "write_page"]
