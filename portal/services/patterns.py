"""What people type, as patterns of LIKE."""


def containing(text: str) -> str:
    """The pattern of everything that holds this very text: what is special to LIKE stands for itself."""
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
