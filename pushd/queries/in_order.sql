-- For the one statement that follows: rows are to be read in the order of their index, until there are
-- enough of them, and not all at once to be sorted afterwards. Without statistics the planner thinks
-- that this comes to the same; with 100,000 rows that wait, it is the difference between 1 and 50 ms.
set local enable_sort = off;
set local enable_bitmapscan = off;
-- Where to begin makes all the difference: it is planned for these very values.
set local plan_cache_mode = force_custom_plan
