SELECT '[2J' ‮, nothing;
