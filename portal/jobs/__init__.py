"""When: thin jobs and their timetable."""
