-- Plans are made for the values at hand, not once for all.
select set_config('plan_cache_mode', 'force_custom_plan', false)
