"""Control groups: which hierarchies are mounted, which groups they hold, and what the groups' files say."""
