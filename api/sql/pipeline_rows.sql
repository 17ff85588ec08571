select (select count(*) from metric_values) as metric_values,
       (select count(*) from health_scores) as scores
