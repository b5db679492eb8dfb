"""What is asked, and what is right?"""

from cal_grpo.tasks.ledger import stories
from cal_grpo.tasks.load import TASKS, load_task
from cal_grpo.tasks.messages import messages_for
from cal_grpo.tasks.own import graded
from cal_grpo.tasks.types import Example, Grader, TaskData, grade_by_answer

__all__ = ["TASKS", "Example", "Grader", "TaskData", "grade_by_answer", "graded", "load_task", "messages_for", "stories"]
